#!/bin/sh
# Makes a clean Debian 13 one of the three machines of a trial site:
#   trial.sh cloud|appliance|phones CLOUD-ADDRESS APPLIANCE-ADDRESS
# Users, passwords and keys of the trial are the same each time, so that the three machines need not
# tell each other anything. They are for a trial and protect nothing.
set -eu
role=$1
cloud=$2
appliance=$3
export DEBIAN_FRONTEND=noninteractive
domain=trial.example

# There is no systemd in a chroot, where this script is tested: then it only prepares.
start() { [ ! -d /run/systemd/system ] || systemctl "$@"; }

password() { printf 'trial-%s' "$1"; }

hash() { printf '%s:%s:%s' "$1" "$domain" "$(password "$1")" | "$2" | cut -d' ' -f1; }

user() {
    printf '{"id": "%s", "name": "Phone %s", "extension": "%s", "credentials": [' "$1" "$1" "$1"
    printf '{"username": "%s", "realm": "%s", ' "$1" "$domain"
    printf '"md5": "%s", "sha256": "%s"}]}' "$(hash "$1" md5sum)" "$(hash "$1" sha256sum)"
}

site() {
    cat <<JSON
{"version": 1,
 "site": {"id": "trial", "name": "Trial", "code": "71", "domain": "$domain", "realm": "$domain"},
 "zones": [{"id": "primary", "host": "$cloud", "port": 5191},
           {"id": "secondary", "host": "$cloud", "port": 5192}],
 "policies": {"digest_algorithms": ["MD5"]},
 "users": [$(user 101), $(user 102)]}
JSON
}

# With the packages it is given; what these recommend is a hundred more that nothing here uses.
install_holdfast() {
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends /tmp/holdfast.deb "$@" >/dev/null
}

make_cloud() {
    install_holdfast
    start disable --now --quiet holdfast.target holdfast-core holdfast-media holdfast-admin \
        holdfast-admin.socket
    mkdir -p /etc/holdfast /var/lib/holdfast-cloud
    site >/etc/holdfast/site.json
    cat >/etc/systemd/system/holdfast-cloud.service <<UNIT
[Unit]
Description=The reference cloud of the trial
[Service]
ExecStart=/usr/bin/holdfast cloud run --site /etc/holdfast/site.json --listen $cloud --host $cloud --data /var/lib/holdfast-cloud
Restart=always
[Install]
WantedBy=multi-user.target
UNIT
    start daemon-reload
    start enable --now --quiet holdfast-cloud
}

make_appliance() {
    install_holdfast slapd python3-scapy systemd-timesyncd
    # The site's bundle by file; in a real site it comes from the cloud.
    install -d -o holdfast -g holdfast -m 750 /var/lib/holdfast
    site >/var/lib/holdfast/bundle.json
    chown holdfast:holdfast /var/lib/holdfast/bundle.json
    holdfast bundle validate /var/lib/holdfast/bundle.json
    start restart holdfast.target holdfast-core holdfast-media holdfast-admin
}

make_phones() {
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends baresip-core >/dev/null
    for name in 101 102; do
        home=/etc/holdfast-trial/$name
        mkdir -p "$home"
        account="<sip:$name@$domain;transport=udp>;auth_user=$name;auth_pass=$(password "$name")"
        account="$account;regint=30;outbound=\"sip:$appliance;transport=udp\";answermode=auto"
        printf '%s\n' "$account" >"$home/accounts"
        : >"$home/contacts"
        cat >"$home/config" <<CONFIG
poll_method epoll
module_path /usr/lib/baresip/modules
module g711.so
module ausine.so
module aubridge.so
module_app menu.so
module_tmp account.so
audio_source ausine,440
audio_player aubridge,nobody
audio_alert aubridge,nobody
ausrc_srate 48000
auplay_srate 48000
ausrc_channels 2
auplay_channels 2
CONFIG
    done
}

commands() {
    cat >/usr/local/sbin/holdfast-trial <<COMMANDS
#!/bin/sh
# The trial's commands; see the Vagrantfile.
set -eu
zones() { for zone in primary secondary; do holdfast cloud zone \$zone "\$1" --data /var/lib/holdfast-cloud; done; }
case \$1 in
outage) zones down ;;
return) zones up ;;
call)
    baresip -f /etc/holdfast-trial/102 -t 40 >/tmp/102.log 2>&1 &
    sleep 5
    baresip -f /etc/holdfast-trial/101 -t 30 -e "/dial sip:102@$domain" ;;
*) echo "holdfast-trial outage|return|call" >&2; exit 2 ;;
esac
COMMANDS
    chmod 755 /usr/local/sbin/holdfast-trial
}

case $role in
cloud) make_cloud ;;
appliance) make_appliance ;;
phones) make_phones ;;
*)
    echo "trial.sh: $role is none of cloud, appliance, phones" >&2
    exit 2
    ;;
esac
commands
echo "$role is ready"
