# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# What several scripts share: where things lie, how an error and a long step are
# shown, locks, and the names of the architectures. Sourced, never run:
#	. "$(dirname "$0")/lib.sh"

# A command substitution that fails is an error like any other.
shopt -s inherit_errexit

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
BUILD=$ROOT/build
CACHE=${IOMMU_ATS_CACHE:-$HOME/.cache/iommu-ats}
SERIES_DIR=$ROOT/patches/linux-7.2
CORES=$(nproc)

# Debian's tools go before whatever else the user's PATH holds (a python3 of his own
# lacks the modules that the packages bring).
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
export LC_ALL=C
umask 022
# What the caller's make was told is not for the makes that are run here.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES LLVM KCFLAGS KBUILD_OUTPUT

die() {
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

say() {
	printf '%s\n' "$*"
}

# need_space DIR GB WHAT
need_space() {
	local dir=$1 gb=$2 free

	mkdir -p "$dir"
	free=$(df --output=avail -BM "$dir" | tail -n 1 | tr -dc 0-9)
	[ "$free" -ge $((gb * 1024)) ] ||
		die "$3 needs $gb GB free in $dir, which has $((free / 1024)) GB: make room" \
			"or point IOMMU_ATS_CACHE elsewhere"
}

# lock FILE: hold an exclusive lock until the script ends.
lock_fds=()
lock() {
	local fd

	mkdir -p "$(dirname "$1")"
	exec {fd}>"$1"
	lock_fds+=("$fd")
	flock -n "$fd" && return
	say "waiting for another run that holds $1"
	flock "$fd"
}

# publish TEMP DEST: give a finished file or folder its name. TEMP lies on the file
# system of DEST, so that DEST is whole whenever it is there.
publish() {
	sync -f "$1"
	mv -T "$1" "$2"
}

# Shows a running step: on a terminal one line that is kept up to date, else a plain
# line every half a minute. Ends with the script that it reports on.
report_progress() {
	local title=$1 log=$2 start=$SECONDS owner=$$ width last fd

	# Its sleep may outlive the script, and must not hold the script's locks then.
	for fd in "${lock_fds[@]}"; do exec {fd}>&-; done
	while sleep 1 && kill -0 "$owner" 2>/dev/null; do
		last=$(tail -c 400 "$log" 2>/dev/null | tr -d '\r' | tail -n 1)
		if [ -t 1 ]; then
			width=$(tput cols 2>/dev/null || echo 80)
			printf '\r\033[K%.*s' "$((width - 1))" \
				"$title: $((SECONDS - start)) s  $(wc -l <"$log") lines  $last"
		elif [ $(((SECONDS - start) % 30)) -eq 0 ]; then
			printf '%s: %d s, %d lines of log, now: %.60s\n' "$title" \
				$((SECONDS - start)) "$(wc -l <"$log")" "$last"
		fi
	done
}

# step NAME TITLE COMMAND…: run it with its output in build/log/NAME.log; if it fails,
# show the end of that log and stop everything.
step() {
	local title=$2 log=$BUILD/log/$1.log start=$SECONDS reporter rc

	shift 2
	mkdir -p "$(dirname "$log")"
	: >"$log"
	report_progress "$title" "$log" &
	reporter=$!
	set +e
	(
		set -e
		"$@"
	) </dev/null >"$log" 2>&1
	rc=$?
	set -e
	kill "$reporter" 2>/dev/null || :
	wait "$reporter" 2>/dev/null || :
	[ ! -t 1 ] || printf '\r\033[K'
	if [ "$rc" -ne 0 ]; then
		tail -n 20 "$log" >&2
		die "$title: failed after $((SECONDS - start)) s, the whole log is $log"
	fi
	printf '%s: done in %d s\n' "$title" $((SECONDS - start))
}

# The names that the kernel's and the compiler's worlds have for our ARCH.
kernel_arch() { case $1 in arm64) echo arm64 ;; x86_64) echo x86 ;; esac; }
kernel_image() { case $1 in arm64) echo arch/arm64/boot/Image ;; x86_64) echo arch/x86/boot/bzImage ;; esac; }
cross_prefix() {
	local gnu

	case $1 in arm64) gnu=aarch64 ;; *) gnu=$1 ;; esac
	[ "$gnu" = "$(uname -m)" ] || echo "$gnu-linux-gnu-"
}

check_arch() {
	case $1 in
	arm64 | x86_64) ;;
	*) die "ARCH=$1 is not known: use arm64 or x86_64" ;;
	esac
}

check_variant() {
	case $1 in
	base | patched | debug | kcsan | rt) ;;
	*) die "VARIANT=$1 is not known: use base, patched, debug, kcsan or rt" ;;
	esac
}

# source_of VARIANT: the kernel tree that the variant is built from; all but base are the
# patched one with another configuration.
source_of() {
	case $1 in
	base) echo "$BUILD/linux-base" ;;
	*) echo "$BUILD/linux" ;;
	esac
}

# Git as far from the machine's configuration as it goes: results must not depend on it.
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
export GIT_COMMITTER_NAME=iommu-ats GIT_COMMITTER_EMAIL=iommu-ats@project.invalid
export GIT_AUTHOR_NAME=iommu-ats GIT_AUTHOR_EMAIL=iommu-ats@project.invalid

# The newest kernel tarball and QEMU source package that the cache holds.
kernel_tarball() {
	compgen -G "$CACHE/src/linux*7.2*.tar.xz" | sort -V | tail -n 1 | grep .
}
qemu_dsc() {
	compgen -G "$CACHE/src/qemu_10.0.*/qemu_10.0.*.dsc" | sort -V | tail -n 1 | grep .
}
