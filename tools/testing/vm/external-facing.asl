/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Marks the root port of the exerciser (rp0, slot 2 of bus 0) as one that leads
 * out of the machine. QEMU calls the device of a slot S and its devfn in hex.
 */
DefinitionBlock ("", "SSDT", 1, "ATSX", "EXTFACE", 1)
{
	External (\_SB.PCI0.S10, DeviceObj)

	Scope (\_SB.PCI0.S10)
	{
		Name (_DSD, Package () {
			/* External facing port, Microsoft's and Linux's UUID */
			ToUUID ("efcc06cc-73ac-4bc3-bff0-76143807c389"),
			Package () {
				Package () { "ExternalFacingPort", 1 },
			}
		})
	}
}
