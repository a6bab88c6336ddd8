/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Gives the PF of the exerciser (function 0 below rp0, slot 2 of bus 0) and its first VF
 * (function 1) power that can be switched off each on its own, so that their deepest state
 * is D3cold. The machine has no such switch: to be without power makes no difference to
 * the function, but when it comes back there is nothing left of what was before, by a
 * Function Level Reset.
 */
DefinitionBlock ("", "SSDT", 2, "ATSX", "POWER", 1)
{
	External (\_SB.PCI0.S10, DeviceObj)
	External (\_SB.PCI0.S10.S00, DeviceObj)
	External (\_SB.PCI0.S10.S01, DeviceObj)

	Scope (\_SB.PCI0.S10)
	{
		PowerResource (PWR0, 0, 0)
		{
			Name (STAT, 1)
			Method (_STA) { Return (STAT) }
			Method (_OFF) { STAT = 0 }
			Method (_ON, 0, Serialized)
			{
				If (STAT) { Return }
				/* Initiate Function Level Reset */
				\_SB.PCI0.S10.S00.DCTL |= 0x8000
				Sleep (100)
				STAT = 1
			}
		}

		PowerResource (PWR1, 0, 0)
		{
			Name (STAT, 1)
			Method (_STA) { Return (STAT) }
			Method (_OFF) { STAT = 0 }
			Method (_ON, 0, Serialized)
			{
				If (STAT) { Return }
				\_SB.PCI0.S10.S01.DCTL |= 0x8000
				Sleep (100)
				STAT = 1
			}
		}
	}

	Scope (\_SB.PCI0.S10.S00)
	{
		Name (_PR0, Package () { PWR0 })
		Name (_PR3, Package () { PWR0 })

		OperationRegion (CFGS, PCI_Config, 0, 0x100)
		Field (CFGS, WordAcc, NoLock, Preserve)
		{
			/* Device Control of the PCI Express capability at 0x60 */
			Offset (0x68),
			DCTL, 16,
		}
	}

	Scope (\_SB.PCI0.S10.S01)
	{
		Name (_PR0, Package () { PWR1 })
		Name (_PR3, Package () { PWR1 })

		OperationRegion (CFGS, PCI_Config, 0, 0x100)
		Field (CFGS, WordAcc, NoLock, Preserve)
		{
			Offset (0x68),
			DCTL, 16,
		}
	}
}
