/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ats-exerciser: register map of a PCIe endpoint with an Address Translation
 * Cache (ATC) that can be told to misbehave.
 *
 * Shared by the Linux driver (drivers/ats-exerciser) and the QEMU model
 * (tools/qemu/hw/misc/ats-exerciser.c), so it includes nothing and defines
 * macros only.
 *
 * Every function, PF or VF, has its own copy of these registers at the start
 * of its BAR 0 (memory, 64 bit, 4 KiB). Registers are little-endian. 32-bit
 * registers take aligned 32-bit accesses; registers marked 64 take one
 * aligned 64-bit access or two aligned 32-bit accesses. Anything that is not
 * listed reads as zero and ignores writes.
 *
 * BAR 2 holds the MSI-X table; vector 0 signals the end of a DMA command.
 */
#ifndef ATS_EXERCISER_REGS_H
#define ATS_EXERCISER_REGS_H

#define ATSX_VENDOR_ID			0x1234
#define ATSX_DEVICE_ID			0x11a5
/* The VF Device ID in the SR-IOV capability */
#define ATSX_VF_DEVICE_ID		0x11a6

#define ATSX_BAR_REGS			0
#define ATSX_BAR_MSIX			2
#define ATSX_BAR_REGS_SIZE		0x1000

/* Identification */
#define ATSX_ID				0x000	/* RO */
#define  ATSX_ID_MAGIC			0x58535441
#define ATSX_VERSION			0x004	/* RO */
#define  ATSX_VERSION_1			1
#define ATSX_CAPS			0x008	/* RO */
#define  ATSX_CAPS_ATC_ENTRIES		0x0000ffff
#define  ATSX_CAPS_ATS			0x00010000
#define  ATSX_CAPS_PASID		0x00020000
#define  ATSX_CAPS_FLR			0x00040000
#define ATSX_STATUS			0x00c	/* RO */
#define  ATSX_STATUS_BUSY		0x00000001	/* DMA command running */
#define  ATSX_STATUS_ATS_ENABLE		0x00000002	/* ATS Enable, as it sees it */
#define ATSX_IRQ_STATUS			0x010	/* W1C */
#define ATSX_IRQ_ENABLE			0x014	/* RW; MSI-X vector 0 when STATUS & ENABLE */
#define  ATSX_IRQ_DMA_DONE		0x00000001

/*
 * DMA engine. Fill in the operands, then write DMA_CMD. The command runs
 * asynchronously; DMA_RESULT is ATSX_RESULT_BUSY until it ends, then
 * IRQ_STATUS.DMA_DONE is set. A write to DMA_CMD while busy is ignored.
 *
 * DMA_ADDR and DMA_LEN are multiples of 8 and LEN is at most 1 MiB. READ leaves
 * the first 8 bytes in DATA. COMPARE leaves the number of 8-byte words that differ
 * from PATTERN in MISMATCH, and the first of them in DATA.
 */
#define ATSX_DMA_ADDR			0x020	/* RW 64 */
#define ATSX_DMA_LEN			0x028	/* RW, bytes */
#define ATSX_DMA_FLAGS			0x02c	/* RW */
#define  ATSX_DMA_TRANSLATED		0x00000001	/* AT=10b, address out of the ATC */
#define  ATSX_DMA_PASID_VALID		0x00000002
#define  ATSX_DMA_NO_WRITE		0x00000004	/* TRANSLATE: the NW flag */
#define ATSX_DMA_PASID			0x030	/* RW */
#define ATSX_DMA_CMD			0x034	/* WO */
#define  ATSX_CMD_READ			1
#define  ATSX_CMD_WRITE			2	/* fill with PATTERN */
#define  ATSX_CMD_COMPARE		3	/* with PATTERN */
#define  ATSX_CMD_TRANSLATE		4	/* fill the ATC with ADDR..+LEN */
#define  ATSX_CMD_LOOKUP		5	/* COUNT = bytes of ADDR..+LEN in the ATC */
#define  ATSX_CMD_ATC_FLUSH		6	/* drop every ATC entry of this function */
#define ATSX_DMA_RESULT			0x038	/* RO */
#define  ATSX_RESULT_OK			0
#define  ATSX_RESULT_BUSY		1
#define  ATSX_RESULT_NO_ENTRY		2	/* no ATC entry, or without permission */
#define  ATSX_RESULT_REJECTED		3	/* the IOMMU or the bus refused */
#define  ATSX_RESULT_INVALID		4	/* bad operand or command */
#define  ATSX_RESULT_DISABLED		5	/* Bus Master or, AT != 0, ATS not enabled */
#define ATSX_DMA_COUNT			0x03c	/* RO, bytes done before the result */
#define ATSX_DMA_PATTERN		0x040	/* RW 64 */
#define ATSX_DMA_DATA			0x048	/* RO 64 */
#define ATSX_DMA_MISMATCH		0x050	/* RO */

/* What the function does with an Invalidate Request */
#define ATSX_INV_POLICY			0x080	/* RW */
#define  ATSX_INV_ANSWER		0	/* invalidate, then answer */
#define  ATSX_INV_DROP			1	/* neither, for good */
#define  ATSX_INV_DROP_N		2	/* the same for INV_PARAM requests */
#define  ATSX_INV_DELAY			3	/* as ANSWER, INV_PARAM ms later */
#define  ATSX_INV_LIE			4	/* answer without invalidating */
#define  ATSX_INV_UR			5	/* Unsupported Request, without invalidating */
#define ATSX_INV_PARAM			0x084	/* RW; requests left, or ms of virtual time */
/* The same while ATS Control.Enable is clear */
#define ATSX_INV_POLICY_DISABLED	0x088	/* RW */
#define  ATSX_INV_DISABLED_ANSWER	0
#define  ATSX_INV_DISABLED_IGNORE	1
#define  ATSX_INV_DISABLED_UR		2

/* What a reset of the function does */
#define ATSX_RESET_POLICY		0x08c	/* RW */
#define  ATSX_RESET_CLEAR		0	/* clears ATC and INV_POLICY */
#define  ATSX_RESET_KEEP_POLICY		1	/* clears the ATC, INV_POLICY stays */
#define  ATSX_RESET_KEEP_ALL		2	/* clears neither */
#define  ATSX_RESET_LATE		3	/* as CLEAR, back RESET_PARAM ms later */
#define  ATSX_RESET_FAIL		4	/* not back until the link or bus is reset */
#define ATSX_RESET_PARAM		0x090	/* RW, ms of virtual time */

/*
 * Counters, 64 bit, RO. The host reads the same numbers as QOM properties of
 * the PF's device object, "fn<N>-<name>" with N = 0 for the PF and N = 1.. for
 * VF N - 1; that reading does not go through the code under test.
 */
#define ATSX_COUNTERS			0x100
#define ATSX_CNT_TR_GRANTED		0	/* Translation Requests granted */
#define ATSX_CNT_TR_REFUSED		1
#define ATSX_CNT_INV_RECEIVED		2	/* Invalidate Requests */
#define ATSX_CNT_INV_ANSWERED		3
#define ATSX_CNT_INV_DROPPED		4	/* neither answered nor delayed */
#define ATSX_CNT_INV_DISABLED		5	/* received while ATS Enable was clear */
#define ATSX_CNT_INV_FENCED		6	/* while the IOMMU refuses it translations */
#define ATSX_CNT_TDMA_DONE		7	/* translated DMA commands that ended OK */
#define ATSX_CNT_TDMA_REJECTED		8
#define ATSX_CNT_TDMA_NO_ENTRY		9
#define ATSX_CNT_UDMA_DONE		10	/* untranslated DMA commands */
#define ATSX_CNT_UDMA_REJECTED		11
#define ATSX_CNT_RESETS			12
#define ATSX_CNT_ATC_ENTRIES		13	/* valid ATC entries now */
#define ATSX_CNT_NUM			14
#define ATSX_COUNTER(n)			(ATSX_COUNTERS + 8 * (n))

/* Initialises an array of names, indexed by ATSX_CNT_* */
#define ATSX_COUNTER_NAMES { \
	[ATSX_CNT_TR_GRANTED]		= "tr-granted", \
	[ATSX_CNT_TR_REFUSED]		= "tr-refused", \
	[ATSX_CNT_INV_RECEIVED]		= "inv-received", \
	[ATSX_CNT_INV_ANSWERED]		= "inv-answered", \
	[ATSX_CNT_INV_DROPPED]		= "inv-dropped", \
	[ATSX_CNT_INV_DISABLED]		= "inv-disabled", \
	[ATSX_CNT_INV_FENCED]		= "inv-fenced", \
	[ATSX_CNT_TDMA_DONE]		= "tdma-done", \
	[ATSX_CNT_TDMA_REJECTED]	= "tdma-rejected", \
	[ATSX_CNT_TDMA_NO_ENTRY]	= "tdma-no-entry", \
	[ATSX_CNT_UDMA_DONE]		= "udma-done", \
	[ATSX_CNT_UDMA_REJECTED]	= "udma-rejected", \
	[ATSX_CNT_RESETS]		= "resets", \
	[ATSX_CNT_ATC_ENTRIES]		= "atc-entries", \
}

#endif /* ATS_EXERCISER_REGS_H */
