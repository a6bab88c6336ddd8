# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Changes of q35's ACPI tables: sourced by the machine files of x86_64.

# Firmware says that the root port leads out of the machine; Linux then trusts
# nothing behind it
need_external_facing() {
	iasl -p "$1/external-facing" "$vm_dir/external-facing.asl" >"$1/iasl.log" 2>&1 ||
		die "iasl: $(grep -m1 -i error "$1/iasl.log")"
	qemu+=(-acpitable "file=$1/external-facing.aml")
}
