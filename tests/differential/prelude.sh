# shellcheck shell=bash
# What every scenario can call. A scenario is a script that is run once on each API server, in a directory and a
# namespace of its own; what it prints is compared. Only what `k` and `shown` print counts.
#
# KUBECTL     the program
# KUBECONFIG  leads to one of the two servers, into the scenario's namespace
# NS          that namespace

export KUBECTL_EXPLAIN_OPENAPIV3=true

# Runs kubectl and shows the command, what it wrote, and its exit code. Input is taken from a here-document.
k() {
	printf '\n$ kubectl %s\n' "$*"
	"$KUBECTL" "$@" >.stdout 2>.stderr
	code=$?
	cat .stdout
	[ -z "$(tail -c 1 .stdout)" ] || echo
	sed 's/^/! /' .stderr
	printf '= %s\n' "$code"
}

# Runs kubectl for its effect alone; nothing of it is compared.
quietly() {
	"$KUBECTL" "$@" >/dev/null 2>&1
}

# Starts a kubectl that does not end by itself, and waits until it has printed that many lines: begin LINES ARGS...
begin() {
	wanted=$1
	shift
	printf '\n$ kubectl %s\n' "$*"
	: >.watched
	"$KUBECTL" "$@" >.watched 2>.watched.stderr &
	watcher=$!
	printed "$wanted"
}

# Waits, at most ten seconds, until what was started has printed that many lines.
printed() {
	tries=100
	while [ "$(wc -l <.watched)" -lt "$1" ] && [ $tries -gt 0 ]; do
		tries=$((tries - 1))
		sleep 0.1
	done
}

# Ends what was started once it has printed that many lines, and shows them.
end() {
	printed "$1"
	kill "$watcher" 2>/dev/null
	wait "$watcher" 2>/dev/null
	cat .watched
	sed 's/^/! /' .watched.stderr
}

# A script that kubectl takes for an editor: editor NAME SED-SCRIPT...
editor() {
	name=$1
	shift
	{
		printf '#!/bin/sh\n'
		for expression in "$@"; do printf "sed -i '%s' \"\$1\"\n" "$expression"; done
	} >"$name"
	chmod +x "$name"
}

# Waits for the next second: times of managed fields, by which they are sorted, have no finer parts.
tick() {
	now=$(date +%s)
	while [ "$(date +%s)" = "$now" ]; do sleep 0.05; done
}
