# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2054,SC2154
#
# How a test guest is put together: sourced by scripts/vm and scripts/run-tests.
# A machine is a file <machine>.conf beside this one. It is sourced, and sets
#
#   machine_arch	arm64 or x86_64
#   machine_args	array of QEMU arguments: board and IOMMU
#   machine_cmdline	kernel command line
#   need_<name>()	a change of the machine that tests.conf may ask for; it
#			adds to the array qemu, vm_cmdline, or both
#
# What it is made of can be replaced through the environment: QEMU_BIN_DIR,
# KERNEL_IMAGE, MODULES_DIR, SELFTESTS_DIR, GEN_INIT_CPIO.

# What programs print is read by scripts, and a decimal point is a point
export LC_ALL=C

vm_top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
vm_dir=$vm_top/tools/testing/vm
vm_build=$vm_top/build

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 2
}

# vm_setup ARCH VARIANT: where everything is; refuses to go on without it
vm_setup() {
	local obj=$vm_build/kernel/$1-$2

	vm_arch=$1
	case $vm_arch in
	arm64)
		vm_qemu='qemu-system-aarch64'
		vm_image=${KERNEL_IMAGE:-$obj/arch/arm64/boot/Image}
		vm_cc=aarch64-linux-gnu-gcc
		vm_console=ttyAMA0
		vm_qmp_tty=/dev/ttyAMA1
		;;
	x86_64)
		vm_qemu='qemu-system-x86_64'
		vm_image=${KERNEL_IMAGE:-$obj/arch/x86/boot/bzImage}
		vm_cc=x86_64-linux-gnu-gcc
		vm_console=ttyS0
		vm_qmp_tty=/dev/ttyS1
		;;
	*)
		die "unknown architecture '$1': arm64 or x86_64"
		;;
	esac
	vm_qemu=${QEMU_BIN_DIR:-$vm_build/qemu/bin}/$vm_qemu
	vm_modules=${MODULES_DIR:-$vm_build/modules/$1-$2}
	vm_selftests=${SELFTESTS_DIR:-$vm_build/selftests}/$vm_arch
	vm_gen_init_cpio=${GEN_INIT_CPIO:-$obj/usr/gen_init_cpio}

	[[ -x $vm_qemu ]] || die "$vm_qemu is missing: make qemu"
	[[ -r $vm_image ]] || die "$vm_image is missing: make kernel ARCH=$1 VARIANT=$2"
	[[ -x $vm_gen_init_cpio ]] || die "$vm_gen_init_cpio is missing: make kernel ARCH=$1 VARIANT=$2"
	[[ -d $vm_modules ]] || die "$vm_modules is missing: make modules ARCH=$1 VARIANT=$2"
	[[ -d $vm_selftests ]] || die "$vm_selftests is missing: make selftests ARCH=$1"
	command -v "$vm_cc" >/dev/null || die "$vm_cc is missing: make setup"
}

# vm_compile CC NAME: $vm_build/vm/$vm_arch/NAME from NAME.c, unless it is there
vm_compile() {
	local out=$vm_build/vm/$vm_arch src=$vm_dir/$2.c

	[[ $out/$2 -nt $src && $out/$2 -nt $vm_top/include/hw/ats_exerciser_regs.h ]] && return
	mkdir -p "$out"
	"$1" -std=gnu11 -O2 -Wall -Wextra -Werror -static -I"$vm_top/include" \
		-o "$out/$2.$$" "$src" || die "$src does not compile for $vm_arch"
	mv "$out/$2.$$" "$out/$2"
}

# vm_programs: what the guests and their machines need, before the first guest
vm_programs() {
	vm_compile "$vm_cc" init
	vm_init_bin=$vm_build/vm/$vm_arch/init
	vm_compile gcc watch
	vm_watch=$vm_build/vm/$vm_arch/watch
	vm_tsc_khz=
	if [[ $vm_arch == x86_64 ]]; then
		vm_compile gcc tsc-khz
		vm_tsc_khz=$("$vm_build/vm/$vm_arch/tsc-khz")
	fi
}

# vm_initramfs OUT [FILE=NAME...]: init, the modules, and FILEs at their NAME
vm_initramfs() {
	local out=$1 dir file
	shift

	{
		for dir in dev proc sys tmp modules tests bin; do
			printf 'dir /%s 0755 0 0\n' "$dir"
		done
		printf 'nod /dev/console 0600 0 0 c 5 1\n'
		printf 'file /init %s 0755 0 0\n' "$vm_init_bin"
		for file in "$vm_modules"/*.ko; do
			[[ ! -e $file ]] || printf 'file /modules/%s %s 0644 0 0\n' "${file##*/}" "$file"
		done
		for file; do
			printf 'file %s %s 0755 0 0\n' "${file#*=}" "${file%%=*}"
		done
	} >"$out.list"
	"$vm_gen_init_cpio" "$out.list" >"$out" || die "cannot make the initramfs $out"
}

# vm_machine MACHINE
vm_machine() {
	local conf=$vm_dir/$1.conf need

	[[ -r $conf ]] || die "unknown machine '$1': there is no $conf"
	for need in $(compgen -A function need_); do
		unset -f "$need"
	done
	# shellcheck source=/dev/null
	. "$conf"
}

# vm_command DIR INITRD EXERCISER CMDLINE QEMU_ARGS NEED...: sets the array qemu
#
# DIR holds the guest's sockets and whatever is made for it. EXERCISER are
# properties of ex0, or "none" for a machine without one. The console's chardev
# "con" is left for the caller to add.
vm_command() {
	local dir=$1 initrd=$2 exerciser=$3 extra_cmdline=$4 need
	local -a extra
	read -ra extra <<<"$5"
	shift 5

	# panic=0: what a panic prints stays the last thing that the guest does.
	# loglevel=5: warnings, and not how the machine is found, which a console that takes
	# one character at a time makes a quarter of the guest's time. init has all printed.
	vm_cmdline="console=$vm_console panic=0 printk.devkmsg=on loglevel=5"
	vm_cmdline+=" $machine_cmdline vm_qmp=$vm_qmp_tty $extra_cmdline"
	qemu=("$vm_qemu" -L /usr/share/qemu -L /usr/share/seabios
	      -nodefaults -no-user-config -display none
	      -accel tcg -smp 2 -m 512
	      "${machine_args[@]}"
	      -device pcie-root-port,id=rp0,bus=pcie.0,addr=2,chassis=1,slot=1)
	[[ $exerciser == none ]] ||
		qemu+=(-device "ats-exerciser,id=ex0,bus=rp0${exerciser:+,$exerciser}")
	qemu+=("${extra[@]}" -serial chardev:con)
	# A QMP monitor for the tests: their serial port is a client of QEMU itself
	qemu+=(-chardev "socket,id=oracle,path=$dir/oracle,server=on,wait=off"
	       -mon chardev=oracle,mode=control
	       -chardev "socket,id=tests,path=$dir/oracle"
	       -serial chardev:tests)
	for need; do
		declare -F "need_$need" >/dev/null ||
			die "the machine has no '$need': see need_$need() in the other machine files"
		"need_$need" "$dir"
	done
	qemu+=(-kernel "$vm_image" -initrd "$initrd" -append "$vm_cmdline")
}
