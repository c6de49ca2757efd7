#!/usr/bin/env bash
# The "cloud" that the webshop leaves: a PostgreSQL server with its data, the app, and a name server for shop.example.
# All of it listens on one loopback address; what it needs lies in target/demo.
#
#   cloud.sh start      starts what does not run, and makes the data if there is none
#   cloud.sh reset-dns  puts the zone back to what it is before a migration
#   cloud.sh status     says what runs; exit status 0 if all of it does
#   cloud.sh stop       stops all of it; the data stays
#
# Environment: DEMO_DIR (default target/demo), CLOUD_ADDRESS (default 127.0.0.10), SHOP_SCALE (products in the shop,
# everything else in proportion; the default 4000 is about 320 MB).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
source "$here/../lib.sh"

demo_dir=${DEMO_DIR:-$root_dir/target/demo}
address=${CLOUD_ADDRESS:-127.0.0.10}
scale=${SHOP_SCALE:-4000}
db_port=15432 dns_port=15353 app_port=8080
cloud_dir=$demo_dir/cloud
env_file=$demo_dir/cloud.env
zone=shop.example

main() {
    case ${1:-} in
        start) start ;;
        stop) stop ;;
        status) status ;;
        reset-dns) reset_dns ;;
        *) die "usage: cloud.sh start|stop|status|reset-dns" ;;
    esac
}

start() {
    step "The cloud side, on $address"
    mkdir -p "$cloud_dir"
    make_secrets
    # shellcheck disable=SC1090
    source "$env_file"
    start_database
    start_app
    start_dns
}

stop() {
    stop_process "$cloud_dir/app.pid" webshop
    stop_process "$cloud_dir/dns/named.pid" named
    if [[ $address != 127.0.0.1 && -n $(ip -oneline address show dev lo to "$address/32") ]]; then
        as_root ip address del "$address/8" dev lo
    fi
    if database_runs >/dev/null; then
        as_database_user "$(postgres_bin pg_ctl)" stop -D "$cloud_dir/postgres" -m fast -s
        ok "PostgreSQL stopped"
    fi
}

status() {
    local failed=0
    report "PostgreSQL  $address:$db_port" database_runs
    report "app         http://$address:$app_port" app_answers
    report "DNS         $address:$dns_port, zone $zone" dns_answers
    return "$failed"
}

report() {
    local what=$1
    shift
    if "$@" >/dev/null 2>&1; then
        ok "$what"
    else
        printf '    %s✗%s %s: does not run\n' "$red" "$plain" "$what"
        failed=1
    fi
}

# Passwords are made here, once, and are nowhere else: cloud.env is what the SecretBinding reads.
make_secrets() {
    [[ ! -s $env_file ]] || return 0
    (
        umask 077
        {
            printf 'SOURCE_DB_PASSWORD=%s\n' "$(random_word)"
            printf 'DB_PASSWORD=%s\n' "$(random_word)"
            printf 'TSIG_KEY=%s\n' "$(head -c 32 /dev/urandom | base64)"
        } >"$env_file.new"
        mv "$env_file.new" "$env_file"
    )
    ok "passwords and the DNS key made: $env_file (mode 0600)"
}

random_word() {
    head -c 24 /dev/urandom | base64 | tr '+/' '-_'
}

# PostgreSQL refuses to run as root. As its own user it must still reach a clone that lies in root's home, for which it
# gets the one right to pass through directories.
as_database_user() {
    if ((EUID == 0)); then
        setpriv --reuid=postgres --regid=postgres --clear-groups --no-new-privs \
            --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search -- "$@"
    else
        "$@"
    fi
}

database_runs() {
    [[ -s $cloud_dir/postgres/postmaster.pid ]] &&
        as_database_user "$(postgres_bin pg_ctl)" status -D "$cloud_dir/postgres"
}

shop_psql() {
    PGPASSWORD=$SOURCE_DB_PASSWORD psql --host="$address" --port="$db_port" --username=webshop --dbname=webshop \
        --no-psqlrc --quiet --set=ON_ERROR_STOP=1 "$@"
}

start_database() {
    local data=$cloud_dir/postgres
    if [[ ! -s $data/PG_VERSION ]]; then
        rm -rf "$data"
        install -d -m 0700 "$data"
        ((EUID != 0)) || chown postgres: "$data"
        printf '%s\n' "$SOURCE_DB_PASSWORD" | as_database_user "$(postgres_bin initdb)" --pgdata="$data" \
            --username=webshop --pwfile=/dev/stdin --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync >/dev/null
    fi
    if ! database_runs >/dev/null; then
        as_database_user "$(postgres_bin pg_ctl)" start -D "$data" -s -w -l "$data/server.log" \
            -o "-c listen_addresses=$address -c port=$db_port -c unix_socket_directories= -c shared_buffers=256MB \
                -c max_wal_size=2GB -c wal_level=logical -c log_min_messages=warning" ||
            { tail -n 5 "$data/server.log" >&2; die "PostgreSQL did not start"; }
    fi
    # The marker is the last thing written: half made data is thrown away and made anew.
    if [[ ! -e $cloud_dir/data-is-there ]]; then
        say "filling the shop with data"
        shop_psql --dbname=postgres -c 'SET client_min_messages = warning' -c 'DROP DATABASE IF EXISTS webshop' \
            -c 'CREATE DATABASE webshop'
        shop_psql --single-transaction --file="$root_dir/examples/webshop/bundle/migrations/postgres/schema.sql"
        shop_psql --set=scale="$scale" --file="$here/webshop-data.sql"
        touch "$cloud_dir/data-is-there"
    fi
    ok "PostgreSQL on $address:$db_port, $(shop_psql -At -c 'SELECT pg_size_pretty(pg_database_size(current_database()))')"
}

app_answers() {
    curl -fsS --max-time 3 "http://$address:$app_port/healthz"
}

start_app() {
    if ! app_answers >/dev/null 2>&1; then
        stop_process "$cloud_dir/app.pid" webshop
        # The system's Python: it is the one that has Debian's psycopg2.
        DB_HOST=$address DB_PORT=$db_port DB_NAME=webshop DB_USER=webshop DB_PASSWORD=$SOURCE_DB_PASSWORD \
            LISTEN_HOST=$address LISTEN_PORT=$app_port SHOP_PLACE='the cloud' \
            setsid /usr/bin/python3 "$root_dir/examples/webshop/images/app/webshop.py" \
            </dev/null >>"$cloud_dir/app.log" 2>&1 &
        echo $! >"$cloud_dir/app.pid"
        wait_until 20 app_answers || { tail -n 5 "$cloud_dir/app.log" >&2; die "the app did not start"; }
    fi
    ok "app on http://$address:$app_port"
}

dns_answers() {
    dig +noall +answer +time=1 +tries=1 "@$address" -p "$dns_port" "$zone" SOA | grep -q 'SOA.*hostmaster'
}

start_dns() {
    local dir=$cloud_dir/dns
    if ! dns_answers; then
        stop_process "$dir/named.pid" named
        mkdir -p "$dir"
        # BIND listens only on addresses that an interface has by name; the others find all of 127.0.0.0/8 on lo.
        [[ $address == 127.0.0.1 ]] || as_root ip address replace "$address/8" dev lo scope host
        write_dns_files "$dir"
        # A copy, since on some machines AppArmor keeps the installed one out of all directories but its own.
        install -m 0755 "$(command -v named || echo /usr/sbin/named)" "$dir/named"
        "$dir/named" -c "$dir/named.conf" -L "$dir/named.log"
        wait_until 20 dns_answers || { tail -n 5 "$dir/named.log" >&2; die "the name server did not start"; }
    fi
    ok "DNS on $address:$dns_port: www.$zone is $(dig +short "@$address" -p "$dns_port" "www.$zone" A)"
}

reset_dns() {
    # shellcheck disable=SC1090
    source "$env_file"
    stop_process "$cloud_dir/dns/named.pid" named
    rm -f "$cloud_dir/dns/$zone.db" "$cloud_dir/dns/$zone.db.jnl"
    start_dns
}

write_dns_files() {
    local dir=$1
    (
        umask 077
        cat >"$dir/named.conf" <<CONF
options {
    directory "$dir";
    pid-file "$dir/named.pid";
    session-keyfile none;
    listen-on port $dns_port { $address; };
    listen-on-v6 { none; };
    recursion no;
    dnssec-validation no;
    notify no;
};
controls { };
key "homeport" { algorithm hmac-sha256; secret "$TSIG_KEY"; };
zone "$zone" {
    type primary;
    file "$zone.db";
    update-policy { grant homeport zonesub any; };
};
CONF
    )
    [[ -s $dir/$zone.db ]] || cat >"$dir/$zone.db" <<ZONE
\$TTL 3600
@       SOA     ns1 hostmaster 1 3600 900 604800 60
        NS      ns1
        A       $address
        MX      10 mail
        TXT     "v=spf1 mx -all"
ns1     A       $address
www 60  A       $address
mail    A       127.0.0.11
status  CNAME   www
_dmarc  TXT     "v=DMARC1; p=reject"
ZONE
}

# stop_process PID_FILE NAME: ends the process if it is still the one that wrote the file.
stop_process() {
    local pid
    [[ -s $1 ]] || return 0
    pid=$(<"$1")
    if grep -qaF "$2" "/proc/$pid/cmdline" 2>/dev/null; then
        kill "$pid"
        wait_until 20 process_is_gone "$pid" || die "$2 (process $pid) does not end"
        ok "$2 stopped"
    fi
    rm -f "$1"
}

process_is_gone() {
    ! kill -0 "$1" 2>/dev/null
}

main "$@"
