#!/bin/sh
# Prints everything of a process that execve keeps. Run directly and through
# ass-exec, it must print the same.
set -u
for a; do printf 'arg [%s]\n' "$a"; done
grep -E '^(Umask|Uid|Gid|Groups|Threads|SigPnd|ShdPnd|SigBlk|SigIgn|Cap...|NoNewPrivs|Seccomp|CoreDumping|Speculation|Cpus_allowed)' /proc/self/status
cat /proc/self/limits
for fd in /proc/$$/fd/*; do
	[ "${fd##*/}" -lt 10 ] && printf '%s -> %s\n' "${fd##*/}" "$(readlink "$fd" | sed "s/pipe:.*/a pipe/")"
done
pwd
umask
tr '\0' '\n' </proc/$$/environ
tr '\0' '|' </proc/$$/cmdline
cut -d' ' -f5,6,7,8,19,41 /proc/$$/stat # group, session, terminal, nice, policy
cat /proc/$$/oom_score_adj /proc/$$/coredump_filter /proc/$$/personality
ls /proc/$$/task | wc -l
