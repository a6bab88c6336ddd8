#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash disable=SC3043
#
# The test program of the guests of scripts/check-upstream. init calls it as it calls
# a kselftest: "-r upstream.SUITE". The suites print KTAP of their own; a line
# "# program NAME" before each says whose cases follow.

PATH=/bin
for applet in basename cat insmod sleep; do
	[ -e /bin/$applet ] || /bin/busybox ln -s busybox /bin/$applet
done

program() {
	local name=$1

	shift
	echo "# program $name"
	"$@"
	echo "# status $name $?"
}

# The exerciser's driver is not loaded: the device is free for vfio-pci.
bind_vfio() {
	local dev

	for dev in /sys/bus/pci/devices/*; do
		[ "$(cat "$dev/vendor") $(cat "$dev/device")" = '0x1234 0x11a5' ] || continue
		echo vfio-pci >"$dev/driver_override"
		basename "$dev" >/sys/bus/pci/drivers_probe
		basename "$dev"
	done
}

case $2 in
upstream.kunit)
	insmod kunit.ko enable=1 autorun=1 || exit
	program arm-smmu-v3 insmod arm-smmu-v3-test.ko
	;;
upstream.iommufd)
	# Its largest buffer is of 128 MiB.
	echo 72 >/proc/sys/vm/nr_hugepages
	program iommufd ./iommufd
	program iommufd_fail_nth ./iommufd_fail_nth
	;;
upstream.vfio)
	echo 16 >/proc/sys/vm/nr_hugepages
	echo 1 >/sys/module/vfio_pci/parameters/enable_sriov
	bdf=$(bind_vfio)
	for test in vfio_*; do
		program "$test" "./$test" "$bdf"
	done
	;;
*)
	echo "no suite $2"
	exit 1
	;;
esac
# What is left over, where the kernel keeps track of it: an object is looked at once it is
# 5 s old, and reported if a second scan finds it unchanged.
leaks=/sys/kernel/debug/kmemleak
if [ -e $leaks ]; then
	sleep 5
	echo scan >$leaks
	echo scan >$leaks
	found=$(cat $leaks)
	echo '# program kmemleak'
	if [ "$found" ]; then
		echo "$found"
		echo 'not ok 1 nothing is left over'
	else
		echo 'ok 1 nothing is left over'
	fi
fi
exit 0
