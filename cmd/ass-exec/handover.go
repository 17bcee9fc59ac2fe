package main

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/agent-secret-store/ass-exec/shim/exit"
	"github.com/agent-secret-store/ass-exec/shim/process"
	"github.com/agent-secret-store/ass-exec/vault"
)

// An init and the ass-exec that it starts talk over a pair of sockets. The
// init sends the agent key, because a fork copies the environment to the heap,
// where nothing could wipe it. Under --mask the child sends the secrets back,
// waits until the filter knows them, and then becomes the command. Its own
// messages go to the init's stderr and not through the filter, which would wait
// for a reader of stderr before it lets the command start, or the init end.

// handoverVariable names the child's descriptor. It is ours alone: no user
// sets it, and the command does not get it.
const handoverVariable = "ASS_EXEC_HANDOVER"

// keyVariables go through the socket instead of the environment.
var keyVariables = []string{"ASS_AGENT_KEY", "ASS_API_KEY"}

// handOver sends the keys of environ to a child that is to be started, and
// returns the environment for it and the init's socket. It copies no key. The
// child's messages go to stderr, if that is not nil.
func handOver(environ []string, mask, ignoresChild bool, stderr *os.File) (env []string, socket *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, err
	}
	defer unix.Close(fds[1])
	unix.CloseOnExec(fds[0])
	// It must not block, as nobody reads yet.
	_ = unix.SetNonblock(fds[0], true)
	socket = os.NewFile(uintptr(fds[0]), "handover")
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case name == handoverVariable:
		case slices.Contains(keyVariables, name):
			env = append(env, name+"=") // keeps the place
			err = cmp.Or(err, send(fds[0], kv))
		default:
			env = append(env, kv)
		}
	}
	err = cmp.Or(err, send(fds[0], ""))
	child, dupErr := process.DupInherited(fds[1])
	err = cmp.Or(err, dupErr)
	reports := 2
	if stderr != nil {
		reports, dupErr = process.DupInherited(int(stderr.Fd()))
		err = cmp.Or(err, dupErr)
	}
	return append(env, fmt.Sprintf("%s=%d,%t,%t,%d", handoverVariable, child, mask, ignoresChild, reports)), socket, err
}

// send writes s, which may be a key and so is not copied, and a NUL.
func send(fd int, s string) error {
	for _, part := range []string{s, "\x00"} {
		n, err := unix.Write(fd, unsafe.Slice(unsafe.StringData(part), len(part)))
		if err != nil {
			return err
		}
		if n < len(part) {
			return syscall.EMSGSIZE
		}
	}
	return nil
}

// parent is the init that started this process; nil if none did.
type parent struct {
	socket       *os.File
	reader       *bufio.Reader
	masks        bool     // what the command prints
	ignoresChild bool     // SIGCHLD, as inherited by the init
	stderr       *os.File // nil if it is this process's own
}

// takeHandover puts what the init withheld back into the environment.
func takeHandover(environ []string) ([]string, *parent, error) {
	i := slices.IndexFunc(environ, func(kv string) bool { return strings.HasPrefix(kv, handoverVariable+"=") })
	if i < 0 {
		return environ, nil, nil
	}
	p := &parent{}
	var fd, reports int
	_, err := fmt.Sscanf(environ[i], handoverVariable+"=%d,%t,%t,%d", &fd, &p.masks, &p.ignoresChild, &reports)
	environ = slices.Delete(slices.Clone(environ), i, i+1)
	if err != nil || fd < 3 {
		return environ, nil, handoverError(errors.New("not a descriptor"))
	}
	unix.CloseOnExec(fd)
	p.socket = os.NewFile(uintptr(fd), "handover")
	if reports > 2 {
		unix.CloseOnExec(reports)
		p.stderr = os.NewFile(uintptr(reports), "stderr")
	}
	p.reader = bufio.NewReader(p.socket)
	for {
		kv, err := p.reader.ReadString(0)
		if err != nil {
			return environ, nil, handoverError(err)
		}
		kv = strings.TrimSuffix(kv, "\x00")
		if kv == "" {
			return environ, p, nil
		}
		name, _, _ := strings.Cut(kv, "=")
		if i := slices.Index(environ, name+"="); i >= 0 {
			environ[i] = kv
		}
	}
}

func handoverError(err error) error {
	return &exit.Error{
		Code: exit.Config, Msg: handoverVariable + ": " + err.Error(),
		Hint: "remove the variable: ass-exec sets it for itself alone",
	}
}

// stderrOr is where to report, the key command too: to own, unless the init has
// it filtered.
func (p *parent) stderrOr(own *os.File) *os.File {
	if p == nil || p.stderr == nil {
		return own
	}
	return p.stderr
}

// passOn has the command ignore SIGCHLD if the init inherited that: the init
// itself cannot, as it waits for a child.
func (p *parent) passOn() {
	if p != nil && p.ignoresChild {
		process.IgnoreAtExec(syscall.SIGCHLD)
	}
}

// sendSecrets sends an init the secrets to mask, and returns once it masks them.
func (p *parent) sendSecrets(secrets []vault.Secret) error {
	if p == nil || !p.masks {
		return nil
	}
	err := binary.Write(p.socket, binary.NativeEndian, uint32(len(secrets)))
	for _, s := range secrets {
		if err == nil {
			err = binary.Write(p.socket, binary.NativeEndian, uint32(len(s.Reveal())))
		}
		if err == nil {
			_, err = p.socket.WriteString(s.Reveal())
		}
	}
	if err == nil {
		_, err = p.reader.ReadByte()
	}
	return err
}

// receiveSecrets waits for the secrets of a child, passes them to add, and lets
// the child go on.
func receiveSecrets(socket *os.File, add func([]vault.Secret)) {
	var n uint32
	err := binary.Read(socket, binary.NativeEndian, &n)
	var secrets []vault.Secret
	for ; n > 0 && err == nil; n-- {
		var size uint32
		var value strings.Builder // a large one is copied no more than once
		if err = binary.Read(socket, binary.NativeEndian, &size); err == nil {
			value.Grow(int(size))
			_, err = io.CopyN(&value, socket, int64(size))
		}
		secrets = append(secrets, vault.NewSecret(value.String()))
	}
	if err != nil {
		return // the child has ended, or was ended, without a command
	}
	add(secrets)
	_, _ = socket.Write([]byte{0})
}
