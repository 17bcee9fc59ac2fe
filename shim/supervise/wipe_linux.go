package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
)

// wipeKernelEnviron zeroes the values in the area the kernel laid out at the
// exec, of which the runtime only has copies. It goes through /proc/self/mem
// because no Go pointer leads there.
func wipeKernelEnviron(names []string) error {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return err
	}
	start, end, err := environArea(stat)
	if err != nil {
		return err
	}
	mem, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer mem.Close()

	area := make([]byte, end-start)
	defer clear(area)
	if _, err := mem.ReadAt(area, start); err != nil {
		return err
	}
	for entry := range bytes.SplitSeq(area, []byte{0}) {
		name, value, _ := bytes.Cut(entry, []byte{'='})
		if slices.Contains(names, string(name)) {
			clear(value)
		}
	}
	_, err = mem.WriteAt(area, start)
	return err
}

// environArea returns where stat says that the initial environment lies in our
// memory.
func environArea(stat []byte) (start, end int64, err error) {
	// Fields are counted from the one after the parenthesized name, the third
	// of proc(5); env_start and env_end are its 50th and 51st.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) >= 49 {
		_, err = fmt.Sscan(string(fields[47])+" "+string(fields[48]), &start, &end)
	}
	if err == nil && start == 0 { // as gVisor has it
		err = errors.New("/proc/self/stat: no env_start")
	}
	return start, end, err
}
