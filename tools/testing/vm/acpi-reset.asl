/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Gives the PF of the exerciser (function 0 below rp0, slot 2 of bus 0) a method _RST:
 * a Function Level Reset, by way of configuration space. It fails before it does
 * anything if Interrupt Line is 0xEE. The function has no interrupt pin, so that this
 * register is a byte that means nothing else.
 */
DefinitionBlock ("", "SSDT", 2, "ATSX", "RESET", 1)
{
	External (\_SB.PCI0.S10.S00, DeviceObj)

	Scope (\_SB.PCI0.S10.S00)
	{
		OperationRegion (CFGS, PCI_Config, 0, 0x100)
		Field (CFGS, ByteAcc, NoLock, Preserve)
		{
			Offset (0x3C),
			ILIN, 8,
		}
		Field (CFGS, WordAcc, NoLock, Preserve)
		{
			/* Device Control of the PCI Express capability at 0x60 */
			Offset (0x68),
			DCTL, 16,
		}

		Method (_RST, 0, Serialized)
		{
			If (ILIN == 0xEE)
			{
				Local0 = 0
				Debug = 1 / Local0
			}
			/* Initiate Function Level Reset */
			DCTL |= 0x8000
			Sleep (100)
		}
	}
}
