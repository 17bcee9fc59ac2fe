//go:build linux

package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// waiting is the memory of an init while its command runs.
type waiting struct {
	Init    string `json:"init"`
	RSSKiB  int    `json:"rss_kib"`
	AnonKiB int    `json:"anon_kib"` // of it, what is in no file
}

// settle is time for an init to give back what only its start needed.
const settle = time.Second

func measureInits(t tools, p *place) ([]waiting, error) {
	start, err := t.assExecJob(p, 20)
	if err != nil {
		return nil, err
	}
	inits := [][]string{{"tini", "--"}, {"dumb-init", "--"}, {"catatonit", "--"}}
	options := start.Argv[:len(start.Argv)-2]
	inits = append(inits, append(options[:len(options):len(options)], "--init", "--"))
	var measured []waiting
	for i, argv := range inits {
		w, err := wait(argv, start.Env)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", argv[0], err)
		}
		if w.Init = argv[0]; i == len(inits)-1 {
			w.Init = "ass-exec --init, 20 secrets"
		}
		fmt.Printf("waiting init: %-28s %6d KiB, %5d KiB of it anonymous\n", w.Init, w.RSSKiB, w.AnonKiB)
		measured = append(measured, w)
	}
	return measured, nil
}

// wait starts an init as PID 1, and looks at it while its command sleeps.
func wait(init, env []string) (waiting, error) {
	argv := append([]string{"-c", `mount -t proc proc /proc && exec "$@"`, "sh"}, init...)
	cmd := exec.Command("/bin/sh", append(argv, "/bin/sh", "-c", "echo runs; exec sleep 1000")...)
	cmd.Env, cmd.Stderr = env, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS, // the second also makes mounts private
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return waiting{}, err
	}
	if err := cmd.Start(); err != nil {
		return waiting{}, err
	}
	defer func() { // with it ends all that is in its namespace
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		return waiting{}, fmt.Errorf("its command does not run: %q, %w", line, err)
	}
	time.Sleep(settle)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		return waiting{}, err
	}
	return parseStatus(string(status))
}

// parseStatus reads /proc/PID/status.
func parseStatus(status string) (w waiting, err error) {
	found := 0
	for line := range strings.Lines(status) {
		for field, to := range map[string]*int{"VmRSS:": &w.RSSKiB, "RssAnon:": &w.AnonKiB} {
			if rest, ok := strings.CutPrefix(line, field); ok {
				if _, err := fmt.Sscanf(rest, "%d kB", to); err != nil {
					return w, fmt.Errorf("%q: %w", line, err)
				}
				found++
			}
		}
	}
	if found != 2 {
		return w, fmt.Errorf("no VmRSS and RssAnon in %q", status)
	}
	return w, nil
}

// initTable is empty if nothing was measured.
func (r report) initTable() string {
	if len(r.Inits) == 0 {
		return ""
	}
	text := "\nMemory of an init, as PID 1, while its command runs:\n\n| | resident | of it anonymous |\n| --- | ---: | ---: |\n"
	for _, w := range r.Inits {
		text += fmt.Sprintf("| %s | %d KiB | %d KiB |\n", w.Init, w.RSSKiB, w.AnonKiB)
	}
	return text
}
