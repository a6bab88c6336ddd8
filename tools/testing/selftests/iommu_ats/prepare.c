// SPDX-License-Identifier: GPL-2.0
/*
 * ATS is configured when the IOMMU driver probes a function, and the basic data
 * path through the exerciser's translation cache. The rules that the cases name:
 *
 *   A1  a VF supports ATS only if its PF does
 *   A2  a VF is refused unless its PF has been prepared with the same STU
 *   A3  pci_ats_supported() is asked before pci_prepare_ats()
 *   A4  SMMUv3: EATS, invalidation arrays and ATS Enable agree, also when ATS cannot
 *       be enabled, and no ATC_INV goes to a function whose ATS Enable is clear
 *   A5  VT-d: a failing pci_prepare_ats() fails the probe; as A4 when enabling fails
 *   A6  AMD: as A5
 *
 * A guest boots for every case: `prepare -t <case>`. Before that, its init has
 * loaded ats_exerciser.ko and mounted sysfs, devtmpfs, debugfs. Cases create
 * their VFs themselves. What a case needs of its machine:
 *
 *   all         kernel command line iommu.strict=1, VT-d also intel_iommu=on[,sm_on];
 *               -device ats-exerciser,id=ex0,bus=rp0,vfs=4 behind a pcie-root-port,
 *               second serial port is a client of a QMP monitor (lib.h, host_*)
 *   no_ats          ats=off,vf-ats=off
 *   left_enabled    ats-preset=on; kernel command line pci=noats
 *   pf_without_ats  ats=off,vf-ats=on
 *   pf_untrusted    x86_64 only (no other architecture of 7.2 ever sets pdev->untrusted):
 *                   an SSDT (-acpitable) gives the root port rp0 a _DSD with the UUID
 *                   efcc06cc-73ac-4bc3-bff0-76143807c389 and "ExternalFacingPort" = 1
 *   pf_unmapped     arm64 only: iommu-map of the PCIe node leaves out the RID of
 *                   the PF, and nothing else
 *   pf_stu, vf_stu, pf_datapath, vf_datapath, pf_refused, prepare_fails,
 *   enable_fails, reattach_fails, disabled_inv, rebind, sriov
 *                   nothing more
 *
 * On patched kernels enable_fails ends with one WARN in the log, and so does
 * reattach_fails except for VT-d in scalable mode. It names the VF and ATS.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib.h"
#include "kselftest_harness.h"

#define TIMEOUT		120

/* Every IOMMU of the tests has 4 KiB pages; PCI_ATS_STU() counts from there */
#define STU		12

#define SIZE		(4 * 4096)
#define OLD		0x0101010101010101ull
#define NEW		0x2222222222222222ull
#define LATER		0x3333333333333333ull

FIXTURE(prepare) {
	char pf[BDF_SIZE];
	char vf[BDF_SIZE];
	struct klog log;
	/* The IOMMU driver turns ATS on where it can be had */
	bool ats;
};

FIXTURE_SETUP(prepare)
{
	char driver[32];
	char type[16];

	if (atsx_bdf(0, self->pf))
		SKIP(return, "no ats-exerciser on the PCI bus");
	if (pci_driver(self->pf, driver, sizeof(driver)) || strcmp(driver, ATSX_DRIVER))
		SKIP(return, "%s is not bound to " ATSX_DRIVER, self->pf);
	/* An unmap has to be seen at once */
	if (!iommu_type(self->pf, type, sizeof(type)) && strcmp(type, "DMA"))
		SKIP(return, "domain type of %s is %s: needs iommu.strict=1", self->pf, type);
	self->ats = iommu_offers_ats();
	ASSERT_EQ(0, klog_open(&self->log, false));
}

FIXTURE_TEARDOWN(prepare)
{
	fail_function_off();
	if (pci_set_numvfs(self->pf, 0))
		TH_LOG("VFs of %s stay", self->pf);
	close(self->log.fd);
}

/* SKIP() with this where !self->ats */
#define NO_ATS		"the IOMMU lacks what Linux wants for ATS"

/* The kernel has said nothing that an administrator had to look at */
#define EXPECT_SILENT(log) expect_silent(_metadata, log, __LINE__)

static void expect_silent(struct __test_metadata *_metadata, struct klog *log, int line)
{
	EXPECT_EQ(0, klog_count(log, KLOG_TROUBLE)) {
		TH_LOG("line %d: the kernel complains", line);
		klog_show(log, KLOG_TROUBLE);
	}
}

/* ATS is on, or off, for configuration space, the function and the kernel alike */
#define EXPECT_ATS(bdf, on) expect_ats(_metadata, bdf, on, __LINE__)

static void expect_ats(struct __test_metadata *_metadata, const char *bdf,
		       bool on, int line)
{
	struct ats_exerciser_info info = {};
	int ctrl = pci_ats_ctrl(bdf);
	int fd = atsx_open(bdf);

	EXPECT_LE(0, fd)
		TH_LOG("line %d: open %s", line, bdf);
	EXPECT_EQ(0, atsx_ioctl(fd, ATS_EXERCISER_INFO, &info));
	EXPECT_EQ(on, ctrl >= 0 && (ctrl & PCI_ATS_ENABLE))
		TH_LOG("line %d: %s: ATS control is %#x", line, bdf, ctrl);
	EXPECT_EQ(on, !!(info.status & ATSX_STATUS_ATS_ENABLE))
		TH_LOG("line %d: %s: the function's own view", line, bdf);
	EXPECT_EQ(on, !!info.ats_enabled)
		TH_LOG("line %d: %s: pdev->ats_enabled", line, bdf);
	close(fd);
}

/* DMA without ATS works: the function has an IOMMU and a domain */
static void untranslated(struct __test_metadata *_metadata, const char *bdf)
{
	struct atsx_mem mem;
	int fd = atsx_open(bdf);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, atsx_mem_alloc(fd, &mem, SIZE));
	ASSERT_EQ(0, atsx_mem_map(fd, &mem));
	atsx_mem_fill(&mem, OLD);
	EXPECT_EQ(ATSX_RESULT_OK, dma(fd, &mem, ATSX_CMD_WRITE, 0, NEW));
	EXPECT_EQ(0, atsx_mem_differs(&mem, NEW));
	EXPECT_EQ(0, atsx_mem_unmap(fd, &mem));
	close(fd);
}

/*
 * The way of a translation: requested, cached, used, invalidated at unmap, gone.
 */
static void translated(struct __test_metadata *_metadata, const char *bdf)
{
	struct ats_exerciser_counters before, after;
	struct ats_exerciser_dma compare = {
		.cmd = ATSX_CMD_COMPARE, .flags = ATSX_DMA_TRANSLATED, .pattern = NEW,
	};
	struct atsx_mem mem;
	int fd = atsx_open(bdf);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, atsx_mem_alloc(fd, &mem, SIZE));
	ASSERT_EQ(0, atsx_mem_map(fd, &mem));

	/* Nothing is cached unasked, and untranslated DMA does not change that */
	atsx_mem_fill(&mem, OLD);
	EXPECT_EQ(ATSX_RESULT_NO_ENTRY, dma(fd, &mem, ATSX_CMD_WRITE,
					    ATSX_DMA_TRANSLATED, NEW));
	EXPECT_EQ(ATSX_RESULT_OK, dma(fd, &mem, ATSX_CMD_WRITE, 0, LATER));
	EXPECT_EQ(0, atsx_mem_differs(&mem, LATER));
	EXPECT_EQ(0, cached(fd, &mem));

	EXPECT_EQ(ATSX_RESULT_OK, dma(fd, &mem, ATSX_CMD_TRANSLATE, 0, 0));
	EXPECT_EQ(SIZE, cached(fd, &mem));
	EXPECT_EQ(ATSX_RESULT_OK, dma(fd, &mem, ATSX_CMD_WRITE, ATSX_DMA_TRANSLATED, NEW));
	EXPECT_EQ(0, atsx_mem_differs(&mem, NEW));
	EXPECT_EQ(ATSX_RESULT_OK, atsx_dma(fd, &mem, &compare));
	EXPECT_EQ(0, compare.mismatch);
	/* A word that differs shows that COMPARE read this memory */
	mem.p[SIZE / sizeof(*mem.p) - 1] = OLD;
	EXPECT_EQ(ATSX_RESULT_OK, atsx_dma(fd, &mem, &compare));
	EXPECT_EQ(1, compare.mismatch);
	EXPECT_EQ(OLD, compare.data);

	ASSERT_EQ(0, atsx_ioctl(fd, ATS_EXERCISER_GET_COUNTERS, &before));
	ASSERT_EQ(0, atsx_mem_unmap(fd, &mem));
	ASSERT_EQ(0, atsx_ioctl(fd, ATS_EXERCISER_GET_COUNTERS, &after));

	EXPECT_LT(before.count[ATSX_CNT_INV_RECEIVED], after.count[ATSX_CNT_INV_RECEIVED]);
	EXPECT_EQ(after.count[ATSX_CNT_INV_RECEIVED] - before.count[ATSX_CNT_INV_RECEIVED],
		  after.count[ATSX_CNT_INV_ANSWERED] - before.count[ATSX_CNT_INV_ANSWERED]);
	EXPECT_LT(0, before.count[ATSX_CNT_ATC_ENTRIES]);
	EXPECT_EQ(0, after.count[ATSX_CNT_ATC_ENTRIES]);

	/* The memory belongs to somebody else now */
	EXPECT_EQ(0, cached(fd, &mem));
	atsx_mem_fill(&mem, OLD);
	EXPECT_EQ(ATSX_RESULT_NO_ENTRY, dma(fd, &mem, ATSX_CMD_WRITE,
					    ATSX_DMA_TRANSLATED, NEW));
	EXPECT_EQ(0, atsx_mem_differs(&mem, OLD));
	close(fd);
}

/* What the function counted is what the host saw */
static void counters_agree(struct __test_metadata *_metadata, const char *bdf,
			   unsigned int index)
{
	struct ats_exerciser_counters guest;
	uint64_t value;
	int host = host_open();
	int fd = atsx_open(bdf);

	ASSERT_LE(0, host);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, atsx_ioctl(fd, ATS_EXERCISER_GET_COUNTERS, &guest));
	for (unsigned int i = 0; i < ATSX_CNT_NUM; i++) {
		ASSERT_EQ(0, host_get(host, index, host_counter[i], &value));
		EXPECT_EQ(value, guest.count[i])
			TH_LOG("counter %s of %s", host_counter[i], bdf);
	}
	close(fd);
	close(host);
}

/*
 * Asks for a translation though the kernel keeps ATS off: ATS Enable is set
 * behind its back, as a hostile or confused function would. The IOMMU refuses
 * if its own table says so too. It logs that it did.
 */
static int forbidden_translation(struct __test_metadata *_metadata, const char *bdf)
{
	struct atsx_mem mem;
	int fd = atsx_open(bdf);
	int ctrl = pci_ats_ctrl(bdf);
	int ret;

	EXPECT_LE(0, fd);
	EXPECT_LE(0, ctrl);
	EXPECT_EQ(0, atsx_mem_alloc(fd, &mem, SIZE));
	EXPECT_EQ(0, atsx_mem_map(fd, &mem));
	EXPECT_EQ(ATSX_RESULT_DISABLED, dma(fd, &mem, ATSX_CMD_TRANSLATE, 0, 0));

	EXPECT_EQ(0, pci_ats_set_ctrl(bdf, ctrl | PCI_ATS_ENABLE));
	ret = dma(fd, &mem, ATSX_CMD_TRANSLATE, 0, 0);
	EXPECT_EQ(ATSX_RESULT_OK, dma(fd, &mem, ATSX_CMD_ATC_FLUSH, 0, 0));
	EXPECT_EQ(0, pci_ats_set_ctrl(bdf, ctrl));
	close(fd);
	return ret;
}

/*
 * Forgets that the IOMMU reported the forbidden translation. Its driver does so in
 * a thread, maybe after the function had its answer. AMD-Vi's model reports none.
 */
static void forget_forbidden(struct klog *log, const char *bdf)
{
	char fault[64];

	snprintf(fault, sizeof(fault), "(DMAR: .*Request device|event: ).*%s", bdf);
	klog_wait(log, fault, 1000);
	klog_mark(log);
}

/*
 * All that makes the IOMMU driver attach and detach @bdf without making it probe
 * the function again. Ends bound, in the domain it had.
 */
static void attach_detach(struct __test_metadata *_metadata, const char *bdf)
{
	char type[16];

	ASSERT_EQ(0, iommu_type(bdf, type, sizeof(type)));
	ASSERT_EQ(0, pci_unbind(bdf));
	ASSERT_EQ(0, pci_bind(bdf, ATSX_DRIVER));
	ASSERT_EQ(0, pci_unbind(bdf));
	EXPECT_EQ(0, iommu_set_type(bdf, "identity"));
	ASSERT_EQ(0, pci_bind(bdf, ATSX_DRIVER));
	ASSERT_EQ(0, pci_unbind(bdf));
	EXPECT_EQ(0, iommu_set_type(bdf, type));
	ASSERT_EQ(0, pci_bind(bdf, ATSX_DRIVER));
}

/* Creates @num VFs and names the first */
static void create_vfs(struct __test_metadata *_metadata, const char *pf,
		       unsigned int num, char vf[BDF_SIZE])
{
	ASSERT_EQ(0, pci_set_numvfs(pf, num));
	ASSERT_EQ(0, atsx_bdf(1, vf));
}

static bool has_iommu(const char *bdf)
{
	char type[16];

	return iommu_type(bdf, type, sizeof(type)) != -ENOENT;
}

/*
 * Probing a PF for its IOMMU writes the IOMMU's STU, whatever stood there, and a
 * translating domain sets Enable (A2). The VFs' ATS rests on it; unpatched
 * kernels do this as well.
 */
TEST_F_TIMEOUT(prepare, pf_stu, TIMEOUT)
{
	const int ctrl = (self->ats ? PCI_ATS_ENABLE : 0) | (STU - 12);
	struct ats_exerciser_info info;
	int fd;

	ASSERT_EQ(ctrl, pci_ats_ctrl(self->pf));
	EXPECT_ATS(self->pf, self->ats);

	/* What firmware or another kernel may leave behind */
	ASSERT_EQ(0, pci_unbind(self->pf));
	ASSERT_EQ(0, pci_ats_set_ctrl(self->pf, 5));
	ASSERT_EQ(5, pci_ats_ctrl(self->pf));
	ASSERT_EQ(0, pci_remove(self->pf));
	ASSERT_EQ(0, pci_rescan());

	EXPECT_EQ(ctrl, pci_ats_ctrl(self->pf));
	EXPECT_ATS(self->pf, self->ats);
	fd = atsx_open(self->pf);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, atsx_ioctl(fd, ATS_EXERCISER_INFO, &info));
	EXPECT_EQ(STU, info.ats_stu);
	EXPECT_EQ(0, info.is_vf);
	close(fd);
	EXPECT_SILENT(&self->log);
}

/*
 * A VF has no STU of its own: the field reads zero and the PF's counts (PCIe r6.0,
 * 10.5.1.3); ATS is enabled because the PF has been prepared (A2). Unpatched
 * kernels do this as well.
 */
TEST_F_TIMEOUT(prepare, vf_stu, TIMEOUT)
{
	struct ats_exerciser_info info;
	int fd;

	if (!self->ats)
		SKIP(return, NO_ATS);
	create_vfs(_metadata, self->pf, 1, self->vf);
	EXPECT_EQ(PCI_ATS_ENABLE, pci_ats_ctrl(self->vf));
	ASSERT_EQ(0, pci_ats_set_ctrl(self->vf, PCI_ATS_ENABLE | 5));
	EXPECT_EQ(PCI_ATS_ENABLE, pci_ats_ctrl(self->vf));
	EXPECT_ATS(self->vf, true);
	fd = atsx_open(self->vf);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, atsx_ioctl(fd, ATS_EXERCISER_INFO, &info));
	EXPECT_EQ(1, info.is_vf);
	close(fd);
	EXPECT_SILENT(&self->log);
}

/*
 * Translated DMA of the PF lands, and an unmap takes it away. What every other
 * test rests on; unpatched kernels do this as well.
 */
TEST_F_TIMEOUT(prepare, pf_datapath, TIMEOUT)
{
	if (!self->ats)
		SKIP(return, NO_ATS);
	translated(_metadata, self->pf);
	counters_agree(_metadata, self->pf, 0);
	EXPECT_SILENT(&self->log);
}

/* The same for a VF, of several */
TEST_F_TIMEOUT(prepare, vf_datapath, TIMEOUT)
{
	if (!self->ats)
		SKIP(return, NO_ATS);
	create_vfs(_metadata, self->pf, 4, self->vf);
	ASSERT_EQ(0, atsx_bdf(3, self->vf));
	translated(_metadata, self->vf);
	counters_agree(_metadata, self->vf, 3);
	EXPECT_SILENT(&self->log);
}

/*
 * Functions without ATS are probed without a warning: no caller of
 * pci_prepare_ats() forgets to ask first (A3). Unpatched kernels do not check.
 */
TEST_F_TIMEOUT(prepare, no_ats, TIMEOUT)
{
	struct klog boot;

	if (pci_ats_ctrl(self->pf) != -ENOENT)
		SKIP(return, "needs ats=off,vf-ats=off");
	create_vfs(_metadata, self->pf, 1, self->vf);
	if (pci_ats_ctrl(self->vf) != -ENOENT)
		SKIP(return, "needs ats=off,vf-ats=off");
	EXPECT_TRUE(has_iommu(self->pf));
	EXPECT_TRUE(has_iommu(self->vf));
	untranslated(_metadata, self->pf);
	untranslated(_metadata, self->vf);
	attach_detach(_metadata, self->vf);
	EXPECT_SILENT(&self->log);

	ASSERT_EQ(0, klog_open(&boot, true));
	EXPECT_EQ(0, klog_count(&boot, "WARNING:"))
		klog_show(&boot, "WARNING:");
	close(boot.fd);
}

/*
 * An ATS Enable that firmware or another kernel left set is cleared, also where
 * ATS is not going to be used (A2).
 */
TEST_F_TIMEOUT(prepare, left_enabled, TIMEOUT)
{
	char cmdline[2048];

	ASSERT_EQ(0, sysfs_read(cmdline, sizeof(cmdline), "/proc/cmdline"));
	if (!strstr(cmdline, "pci=noats"))
		SKIP(return, "needs ats-preset=on and pci=noats");
	EXPECT_ATS(self->pf, false);
	EXPECT_EQ(ATSX_RESULT_REJECTED, forbidden_translation(_metadata, self->pf));
}

/* A VF supports ATS only if its PF does (A1) */
TEST_F_TIMEOUT(prepare, pf_without_ats, TIMEOUT)
{
	if (pci_ats_ctrl(self->pf) != -ENOENT)
		SKIP(return, "needs ats=off,vf-ats=on");
	create_vfs(_metadata, self->pf, 1, self->vf);
	if (pci_ats_ctrl(self->vf) < 0)
		SKIP(return, "needs ats=off,vf-ats=on");

	EXPECT_TRUE(has_iommu(self->vf));
	EXPECT_ATS(self->vf, false);
	untranslated(_metadata, self->vf);
	attach_detach(_metadata, self->vf);
	EXPECT_ATS(self->vf, false);
	EXPECT_SILENT(&self->log);

	EXPECT_EQ(ATSX_RESULT_REJECTED, forbidden_translation(_metadata, self->vf));
	forget_forbidden(&self->log, self->vf);
	ASSERT_EQ(0, pci_set_numvfs(self->pf, 0));
	EXPECT_SILENT(&self->log);
}

/*
 * No function behind an external-facing port gets ATS (A1). Unpatched kernels
 * see to it for a VF as well, because 7.2 marks PF and VF alike.
 */
TEST_F_TIMEOUT(prepare, pf_untrusted, TIMEOUT)
{
	char removable[16];

	if (sysfs_read(removable, sizeof(removable), "/sys/bus/pci/devices/%s/removable",
		       self->pf) || strcmp(removable, "removable"))
		SKIP(return, "needs an external-facing root port");
	ASSERT_LE(0, pci_ats_ctrl(self->pf));
	create_vfs(_metadata, self->pf, 1, self->vf);
	EXPECT_ATS(self->pf, false);
	EXPECT_ATS(self->vf, false);
	untranslated(_metadata, self->pf);
	untranslated(_metadata, self->vf);
	EXPECT_SILENT(&self->log);
	EXPECT_EQ(ATSX_RESULT_REJECTED, forbidden_translation(_metadata, self->vf));
}

/* The log says of @bdf that something is wrong with its ATS */
#define EXPECT_NAMED(log, bdf) expect_named(_metadata, log, bdf, __LINE__)

static void expect_named(struct __test_metadata *_metadata, struct klog *log,
			 const char *bdf, int line)
{
	char regex[64];

	snprintf(regex, sizeof(regex), "%s.*ATS", bdf);
	EXPECT_LE(1, klog_count(log, regex))
		TH_LOG("line %d: the log says nothing of ATS of %s", line, bdf);
}

/*
 * A VF whose PF has not been prepared: refused by the IOMMU driver, ATS off, and
 * no warning when it is unbound, bound and taken away (A2).
 */
static void refused_vf(struct __test_metadata *_metadata, const char *pf,
		       struct klog *log)
{
	char vf[BDF_SIZE];

	create_vfs(_metadata, pf, 1, vf);
	EXPECT_FALSE(has_iommu(vf));
	EXPECT_NAMED(log, vf);
	EXPECT_ATS(vf, false);
	ASSERT_EQ(0, pci_unbind(vf));
	ASSERT_EQ(0, pci_bind(vf, ATSX_DRIVER));
	EXPECT_ATS(vf, false);
	ASSERT_EQ(0, pci_set_numvfs(pf, 0));
	EXPECT_SILENT(log);
}

/* A2, where the IOMMU does not know the PF at all */
TEST_F_TIMEOUT(prepare, pf_unmapped, TIMEOUT)
{
	if (has_iommu(self->pf))
		SKIP(return, "needs an iommu-map without the PF");
	refused_vf(_metadata, self->pf, &self->log);
}

/* A2, and A5 and A6: where the PF's own preparation failed, so did its probe */
TEST_F_TIMEOUT(prepare, pf_refused, TIMEOUT)
{
	if (!has_iommu(self->pf))
		SKIP(return, "needs an IOMMU that knows the PF");
	ASSERT_EQ(0, pci_remove(self->pf));
	ASSERT_EQ(0, fail_function("pci_prepare_ats", -EIO));
	ASSERT_EQ(0, pci_rescan());
	ASSERT_EQ(0, fail_function_off());

	EXPECT_FALSE(has_iommu(self->pf));
	EXPECT_NAMED(&self->log, self->pf);
	EXPECT_ATS(self->pf, false);
	refused_vf(_metadata, self->pf, &self->log);

	/* The failed probe left nothing behind that is in a second one's way */
	ASSERT_EQ(0, pci_remove(self->pf));
	ASSERT_EQ(0, pci_rescan());
	EXPECT_TRUE(has_iommu(self->pf));
	EXPECT_ATS(self->pf, self->ats);
	create_vfs(_metadata, self->pf, 1, self->vf);
	EXPECT_TRUE(has_iommu(self->vf));
	EXPECT_ATS(self->vf, self->ats);
	if (self->ats) {
		translated(_metadata, self->pf);
		translated(_metadata, self->vf);
	}
	EXPECT_SILENT(&self->log);
}

/*
 * A failing pci_prepare_ats() fails the IOMMU's probe of the function, and
 * nothing of the probe stays behind (A5, A6).
 */
TEST_F_TIMEOUT(prepare, prepare_fails, TIMEOUT)
{
	ASSERT_EQ(0, fail_function("pci_prepare_ats", -EIO));
	create_vfs(_metadata, self->pf, 1, self->vf);
	ASSERT_EQ(0, fail_function_off());
	EXPECT_FALSE(has_iommu(self->vf));
	EXPECT_NAMED(&self->log, self->vf);
	EXPECT_ATS(self->vf, false);
	ASSERT_EQ(0, pci_set_numvfs(self->pf, 0));
	EXPECT_SILENT(&self->log);

	create_vfs(_metadata, self->pf, 1, self->vf);
	EXPECT_TRUE(has_iommu(self->vf));
	EXPECT_ATS(self->vf, self->ats);
	if (self->ats)
		translated(_metadata, self->vf);
	EXPECT_SILENT(&self->log);
}

/*
 * A failing pci_enable_ats() is one WARN that names the function. After it
 * IOMMU, kernel and function agree that ATS is off, and detach, unbind and
 * re-attach are silent (A4, A5).
 */
TEST_F_TIMEOUT(prepare, enable_fails, TIMEOUT)
{
	uint64_t disabled;
	int host = host_open();

	if (!self->ats)
		SKIP(return, NO_ATS);
	ASSERT_LE(0, host);
	ASSERT_EQ(0, fail_function("pci_enable_ats", -EIO));
	create_vfs(_metadata, self->pf, 1, self->vf);
	EXPECT_EQ(1, klog_count(&self->log, "WARNING:"))
		klog_show(&self->log, KLOG_TROUBLE);
	EXPECT_NAMED(&self->log, self->vf);
	klog_mark(&self->log);

	EXPECT_TRUE(has_iommu(self->vf));
	EXPECT_ATS(self->vf, false);
	/* Its unmap must send no invalidation */
	untranslated(_metadata, self->vf);
	EXPECT_EQ(0, host_get(host, 1, "inv-disabled", &disabled));
	EXPECT_EQ(0, disabled);
	EXPECT_SILENT(&self->log);
	EXPECT_EQ(ATSX_RESULT_REJECTED, forbidden_translation(_metadata, self->vf));
	forget_forbidden(&self->log, self->vf);

	/* Still failing, and said once */
	attach_detach(_metadata, self->vf);
	EXPECT_ATS(self->vf, false);
	ASSERT_EQ(0, pci_set_numvfs(self->pf, 0));
	EXPECT_SILENT(&self->log);

	/* The next function in its place has it */
	ASSERT_EQ(0, fail_function_off());
	create_vfs(_metadata, self->pf, 1, self->vf);
	EXPECT_ATS(self->vf, true);
	translated(_metadata, self->vf);
	EXPECT_EQ(0, host_get(host, 1, "inv-disabled", &disabled));
	EXPECT_EQ(0, disabled);
	EXPECT_SILENT(&self->log);
	close(host);
}

/*
 * The same for a function that had ATS and is to have it again (A4, A5). VT-d in
 * scalable mode leaves ATS alone when the domain changes, and nothing fails.
 */
TEST_F_TIMEOUT(prepare, reattach_fails, TIMEOUT)
{
	bool on;

	if (!self->ats)
		SKIP(return, NO_ATS);
	create_vfs(_metadata, self->pf, 1, self->vf);
	EXPECT_ATS(self->vf, true);
	ASSERT_EQ(0, pci_unbind(self->vf));
	ASSERT_EQ(0, iommu_set_type(self->vf, "identity"));
	EXPECT_SILENT(&self->log);

	ASSERT_EQ(0, fail_function("pci_enable_ats", -EIO));
	ASSERT_EQ(0, iommu_set_type(self->vf, "DMA"));
	on = pci_ats_ctrl(self->vf) & PCI_ATS_ENABLE;
	EXPECT_EQ(on ? 0 : 1, klog_count(&self->log, "WARNING:"))
		klog_show(&self->log, KLOG_TROUBLE);
	klog_mark(&self->log);

	ASSERT_EQ(0, pci_bind(self->vf, ATSX_DRIVER));
	EXPECT_ATS(self->vf, on);
	untranslated(_metadata, self->vf);
	attach_detach(_metadata, self->vf);
	EXPECT_ATS(self->vf, on);
	ASSERT_EQ(0, pci_set_numvfs(self->pf, 0));
	EXPECT_SILENT(&self->log);

	ASSERT_EQ(0, fail_function_off());
	create_vfs(_metadata, self->pf, 1, self->vf);
	EXPECT_ATS(self->vf, true);
	translated(_metadata, self->vf);
	EXPECT_SILENT(&self->log);
}

/*
 * No invalidation goes to a function whose ATS Enable is clear, on any way into
 * or out of a domain; this one would not answer (A4).
 */
TEST_F_TIMEOUT(prepare, disabled_inv, TIMEOUT)
{
	uint64_t disabled;
	int host = host_open();

	if (!self->ats)
		SKIP(return, NO_ATS);
	ASSERT_LE(0, host);
	for (unsigned int i = 0; i < 2; i++)
		ASSERT_EQ(0, host_set(host, i, "inv-policy-disabled",
				      ATSX_INV_DISABLED_IGNORE));

	create_vfs(_metadata, self->pf, 1, self->vf);
	attach_detach(_metadata, self->vf);
	EXPECT_ATS(self->vf, true);
	translated(_metadata, self->vf);
	ASSERT_EQ(0, pci_set_numvfs(self->pf, 0));
	attach_detach(_metadata, self->pf);
	EXPECT_ATS(self->pf, true);
	create_vfs(_metadata, self->pf, 1, self->vf);
	ASSERT_EQ(0, pci_remove(self->pf));
	ASSERT_EQ(0, pci_rescan());
	EXPECT_ATS(self->pf, true);
	translated(_metadata, self->pf);

	for (unsigned int i = 0; i < 2; i++) {
		EXPECT_EQ(0, host_get(host, i, "inv-disabled", &disabled));
		EXPECT_EQ(0, disabled)
			TH_LOG("function %u", i);
	}
	EXPECT_SILENT(&self->log);
	close(host);
}

/*
 * Unbinding takes the buffers of an open file away from the function and leaves
 * them to the file; ATS stays as it was. Shows the driver under the tests, hence
 * passes on unpatched kernels.
 */
static void unbind_in_use(struct __test_metadata *_metadata, const char *bdf)
{
	struct ats_exerciser_info info;
	struct atsx_mem mem;
	int fd = atsx_open(bdf);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, atsx_mem_alloc(fd, &mem, SIZE));
	ASSERT_EQ(0, atsx_mem_map(fd, &mem));
	ASSERT_EQ(ATSX_RESULT_OK, dma(fd, &mem, ATSX_CMD_TRANSLATE, 0, 0));
	atsx_mem_fill(&mem, OLD);

	ASSERT_EQ(0, pci_unbind(bdf));
	EXPECT_EQ(-ENODEV, atsx_ioctl(fd, ATS_EXERCISER_INFO, &info));
	EXPECT_EQ(-ENODEV, atsx_mem_unmap(fd, &mem));
	EXPECT_EQ(0, atsx_mem_differs(&mem, OLD));

	/* The file is one of the function that was, not of the one that is bound */
	ASSERT_EQ(0, pci_bind(bdf, ATSX_DRIVER));
	EXPECT_EQ(-ENODEV, atsx_ioctl(fd, ATS_EXERCISER_INFO, &info));
	close(fd);

	fd = atsx_open(bdf);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, cached(fd, &mem));
	close(fd);
	EXPECT_ATS(bdf, true);
}

TEST_F_TIMEOUT(prepare, rebind, TIMEOUT)
{
	if (!self->ats)
		SKIP(return, NO_ATS);
	for (int i = 0; i < 5; i++) {
		create_vfs(_metadata, self->pf, 2, self->vf);
		unbind_in_use(_metadata, self->vf);
		translated(_metadata, self->vf);
		/*
		 * Takes the VFs along. With lockdep they go first: the kernel asserts
		 * pci_rescan_remove_lock, which is not held when a PF is unbound.
		 */
		if (!access("/proc/lockdep", F_OK))
			ASSERT_EQ(0, pci_set_numvfs(self->pf, 0));
		unbind_in_use(_metadata, self->pf);
		EXPECT_EQ(-ENOENT, atsx_bdf(1, self->vf));
	}
	translated(_metadata, self->pf);
	EXPECT_SILENT(&self->log);
}

/* SR-IOV is switched off with VFs in use, and on again, with ATS each time */
TEST_F_TIMEOUT(prepare, sriov, TIMEOUT)
{
	struct ats_exerciser_info info;
	struct atsx_mem mem;
	int fd;

	if (!self->ats)
		SKIP(return, NO_ATS);
	for (int i = 0; i < 5; i++) {
		create_vfs(_metadata, self->pf, 4, self->vf);
		EXPECT_ATS(self->vf, true);
		fd = atsx_open(self->vf);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, atsx_mem_alloc(fd, &mem, SIZE));
		ASSERT_EQ(0, atsx_mem_map(fd, &mem));
		ASSERT_EQ(ATSX_RESULT_OK, dma(fd, &mem, ATSX_CMD_TRANSLATE, 0, 0));
		ASSERT_EQ(0, pci_set_numvfs(self->pf, 0));
		EXPECT_EQ(-ENODEV, atsx_ioctl(fd, ATS_EXERCISER_INFO, &info));
		close(fd);
	}
	EXPECT_SILENT(&self->log);
}

TEST_HARNESS_MAIN
