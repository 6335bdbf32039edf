#!/bin/sh
# Starts the image's own systemd on a root folder, in namespaces of its own: what the kernel and the
# initramfs do on a machine, without them. Run by container.py inside the appliance's network:
#   start_root.sh ROOT [WORD...]    each WORD as on a kernel's command line
# In the environment either FOLDER, which stands for the data partition; or SEED, the block device
# of a NoCloud seed, and then start_initramfs.sh has mounted the data partition.
set -eu
root=$1
shift
if [ "${FOLDER-}" ]; then
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mount --bind "$FOLDER" "$root/data"
    mount --bind "$FOLDER/var" "$root/var"
    mount --bind "$FOLDER/machine-id" "$root/etc/machine-id"
fi
mount -t proc proc "$root/proc"
# What belongs to the whole machine stays as it is; what belongs to this network may be set.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755,size=1m tmpfs "$root/dev"
for name in null zero full random urandom tty ${SEED+"${SEED#/dev/}"}; do
    : >"$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
if [ "${SEED-}" ]; then
    mkdir -p "$root/dev/disk/by-label"
    ln -s "$SEED" "$root/dev/disk/by-label/CIDATA"
fi
: >"$root/dev/console"
mount --bind /dev/null "$root/dev/console"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -o remount,bind,ro "$root"
cd "$root"
pivot_root . mnt
umount -l /mnt
exec env -i container=holdfast-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv --bounding-set -sys_time,-sys_module,-sys_rawio,-syslog,-wake_alarm,-mac_admin,-mac_override,-mknod,-audit_control,-audit_read \
    /usr/lib/systemd/systemd "$@"
