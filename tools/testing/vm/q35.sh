# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2054,SC2154
#
# What the machine files of x86_64 share.

machine_arch=x86_64
# Without five-level page tables: while the kernel finds out about its CPU, it takes the
# level for absent for a moment, and KASAN the kernel's own addresses for wild.
machine_args=(-machine q35,kernel-irqchip=split -cpu max,la57=off)
# no_timer_check, tsc_early_khz=: what the kernel measures of its clocks at boot is
# wrong on a busy host, see tsc-khz.c
machine_cmdline="iommu.strict=1 no_timer_check${vm_tsc_khz:+ tsc_early_khz=$vm_tsc_khz}"

# Firmware says that the root port leads out of the machine; Linux then trusts
# nothing behind it
need_external_facing() {
	iasl -p "$1/external-facing" "$vm_dir/external-facing.asl" >"$1/iasl.log" 2>&1 ||
		die "iasl: $(grep -m1 -i error "$1/iasl.log")"
	qemu+=(-acpitable "file=$1/external-facing.aml")
}

# Firmware has a method that resets the exerciser's PF
need_acpi_reset() {
	iasl -p "$1/acpi-reset" "$vm_dir/acpi-reset.asl" >"$1/iasl.log" 2>&1 ||
		die "iasl: $(grep -m1 -i error "$1/iasl.log")"
	qemu+=(-acpitable "file=$1/acpi-reset.aml")
	vm_cmdline+=" vm_acpi_reset=yes"
}

# Firmware can switch off the power of the exerciser's PF and of its first VF
need_acpi_power() {
	iasl -p "$1/acpi-power" "$vm_dir/acpi-power.asl" >"$1/iasl.log" 2>&1 ||
		die "iasl: $(grep -m1 -i error "$1/iasl.log")"
	qemu+=(-acpitable "file=$1/acpi-power.aml")
	vm_cmdline+=" vm_acpi_power=yes"
}
