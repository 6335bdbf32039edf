#!/bin/sh
# Makes Debian's root ours; runs inside it, once, after all packages are there.
set -eu
export DEBIAN_FRONTEND=noninteractive

dpkg --install /tmp/holdfast.deb
rm /tmp/holdfast.deb

# One kernel for every hypervisor and usual machines, without what a voice appliance cannot have.
cd /usr/lib/modules/*/kernel
rm -rf sound drivers/gpu drivers/media drivers/net/wireless drivers/bluetooth net/bluetooth \
    net/mac80211 net/wireless drivers/staging drivers/infiniband drivers/isdn drivers/iio \
    drivers/input/joystick drivers/input/tablet drivers/mtd drivers/nfc drivers/usb/gadget \
    drivers/net/can net/can drivers/accel drivers/comedi drivers/thunderbolt drivers/leds \
    fs/btrfs fs/xfs fs/ocfs2 fs/gfs2 fs/nfs fs/nfsd fs/smb fs/ceph fs/jfs fs/ubifs fs/f2fs fs/bcachefs
kernel=$(basename /usr/lib/modules/*)
depmod "$kernel"
update-initramfs -u -k "$kernel"
cp "/boot/vmlinuz-$kernel" /boot/vmlinuz
mv "/boot/initrd.img-$kernel" /boot/initrd
rm -f /boot/*-"$kernel" /vmlinuz* /initrd.img*

passwd -l root
# The directory runs a slapd of its own with what it makes itself; Debian's has nothing to serve.
rm -rf /etc/ldap/slapd.d /etc/init.d/slapd /etc/default/slapd /var/lib/ldap /var/lib/slapd
# Empty: each machine gets its own, laid over it at the start.
: >/etc/machine-id
rm -f /etc/ssh/ssh_host_* /etc/hostname.orig /etc/resolv.conf
ln -s /run/systemd/resolve/resolv.conf /etc/resolv.conf
rm -rf /etc/holdfast
ln -s /data/holdfast /etc/holdfast
mkdir -p /data

# It asks for AF_VSOCK, which is not everywhere, and opens SSH in ways nobody asked for.
mkdir -p /etc/systemd/system-generators
ln -s /dev/null /etc/systemd/system-generators/systemd-ssh-generator

systemctl enable --quiet systemd-networkd systemd-resolved holdfast-firewall holdfast-grow \
    holdfast-hostkey holdfast-setup holdfast-console@tty1 holdfast-console@ttyS0
systemctl disable --quiet systemd-networkd-wait-online || true
systemctl mask --quiet getty@tty1 serial-getty@ttyS0 getty.target systemd-networkd-wait-online \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer systemd-firstboot.service systemd-machine-id-commit.service \
    systemd-binfmt.service proc-sys-fs-binfmt_misc.automount systemd-journal-catalog-update.service \
    nftables.service slapd.service systemd-pcrlock-make-policy.service

# What is only read by people, or made again from what is here. Of completion ours alone stays, which
# /etc/profile.d/holdfast.sh reads: there is nothing here that would find it.
rm -rf /usr/share/doc/* /usr/share/man /usr/share/info /usr/share/locale/* /usr/share/lintian \
    /usr/share/zsh /usr/lib/udev/hwdb.d /usr/share/i18n \
    /var/cache/* /var/lib/apt /var/log/* /var/backups/* /tmp/* /root/.[!.]* /etc/*- \
    /usr/lib/python3/dist-packages/__pycache__
find /usr/share/bash-completion -type f ! -path '*/completions/holdfast' -delete
find /usr/share/bash-completion -depth -type d -empty -delete
mkdir -p /usr/lib/holdfast/sbom
cp /var/lib/dpkg/status /usr/lib/holdfast/sbom/dpkg-status
