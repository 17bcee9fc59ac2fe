package shim

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/agent-secret-store/ass-exec/shim/mapping"
)

func TestDescriptorIsTakenOnceAndOnlyIfItIsFree(t *testing.T) {
	const open, free = 190, 191
	if fd, err := unix.FcntlInt(os.Stderr.Fd(), unix.F_DUPFD_CLOEXEC, open); err != nil || fd != open {
		t.Fatal(fd, err)
	}
	t.Cleanup(func() { unix.Close(open); unix.Close(free) })
	text := fmt.Sprintf("A=a/B\nB=a/B?as=file\nC=a/B?as=file\nD=a/B?as=file&fd=%d\nE=a/B?as=file&fd=%[1]d\nF=a/B?as=file&fd=%d\n", free, open)
	bindings, err := mapping.Parse("m", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	const hint = " | take another number from 64 to 255, below the limit of open files (ulimit -n)"
	const want = "78 m:5: E: fd=191 is already used by D (m:4)" + hint + "\nm:6: F: fd=190 is open already" + hint
	if got := allOf(reserveDescriptors(bindings).OrNil()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
