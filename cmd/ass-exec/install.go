package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/agent-secret-store/ass-exec/shim/exit"
)

// install copies this binary to path, for an init container without a shell:
// whole or not at all, and executable for everyone whatever the umask is.
func install(path string) error {
	if err := copyBinary(path); err != nil {
		return &exit.Error{
			Code: exit.Config, Msg: "--install: " + err.Error(), Err: err,
			Hint: "name a file in a folder that this user may write to, such as a volume shared with the next container",
		}
	}
	return nil
}

func copyBinary(path string) error {
	// The rename below would replace a device, as that of /dev/null, too.
	if info, err := os.Lstat(path); err == nil && info.Mode().Type()&^os.ModeSymlink != 0 {
		return fmt.Errorf("%s is not a regular file", path)
	}
	// Not os.Executable: a container may have no /proc, but then it has no
	// way to this file either, and the error says so.
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close()
	// In the same folder, because a rename does not cross file systems; and a
	// binary that is running cannot be written to.
	tmp, err := os.CreateTemp(filepath.Dir(path), ".ass-exec-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	defer tmp.Close()
	if _, err := io.Copy(tmp, self); err != nil {
		return err
	}
	if err := tmp.Chmod(0o755); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
