#!/bin/sh
# Does what the image's initramfs does, with its own script and programs, and starts its systemd:
#   start_initramfs.sh ROOT INITRAMFS DATA SEED [WORD...]    DATA and SEED are block devices
set -eu
root=$1 initramfs=$2 data=$3 seed=$4
shift 4
mount --make-rprivate /
mount --bind "$root" "$initramfs/root"
mount -o remount,bind,ro "$initramfs/root"
mount -t proc proc "$initramfs/proc"
mount -t tmpfs -o mode=755,size=1m tmpfs "$initramfs/dev"
for device in /dev/null /dev/zero /dev/urandom "$data"; do
    : >"$initramfs$device"
    mount --bind "$device" "$initramfs$device"
done
mkdir -p "$initramfs/dev/disk/by-partlabel"
ln -s "$data" "$initramfs/dev/disk/by-partlabel/data"
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin rootmnt=/root \
    chroot "$initramfs" sh /scripts/local-bottom/holdfast
umount --recursive "$initramfs/dev"
umount "$initramfs/proc"
exec env SEED="$seed" sh "$(dirname "$0")/start_root.sh" "$initramfs/root" "$@"
