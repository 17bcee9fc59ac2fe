package process

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
)

// program is what ELF headers say about a program. debug/elf reads them too, at
// the price of 2 % of the binary and of every start.
type program struct {
	machine string
	loader  string // empty if it needs none
}

var machines = map[uint16]string{
	3: "386", 8: "mips", 20: "ppc", 21: "ppc64", 22: "s390", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv", 258: "loongarch",
}

// readProgram returns false for a file that is not ELF, or is truncated.
func readProgram(path string) (program, bool) {
	f, err := os.Open(path)
	if err != nil {
		return program{}, false
	}
	defer f.Close()
	head := make([]byte, 64)
	if _, err := io.ReadFull(f, head); err != nil || !bytes.HasPrefix(head, []byte("\x7fELF")) {
		return program{}, false
	}
	var order binary.ByteOrder = binary.LittleEndian
	if head[5] == 2 {
		order = binary.BigEndian
	}
	p := program{machine: machines[order.Uint16(head[18:])]}
	if p.machine == "" {
		p.machine = "another machine"
	}
	p.loader, err = readLoader(f, head, order)
	return p, err == nil
}

// readLoader reads the program header that names the loader.
func readLoader(f io.ReaderAt, head []byte, order binary.ByteOrder) (string, error) {
	const interp = 3 // PT_INTERP
	table, size, count := int64(order.Uint32(head[28:])), int64(32), order.Uint16(head[44:])
	if head[4] == 2 { // 64 bits
		table, size, count = int64(order.Uint64(head[32:])), 56, order.Uint16(head[56:])
	}
	entry := make([]byte, size)
	for i := range int64(count) {
		if _, err := f.ReadAt(entry, table+i*size); err != nil {
			return "", err
		}
		if order.Uint32(entry) != interp {
			continue
		}
		offset, length := int64(order.Uint32(entry[4:])), uint64(order.Uint32(entry[16:]))
		if head[4] == 2 {
			offset, length = int64(order.Uint64(entry[8:])), order.Uint64(entry[32:])
		}
		name := make([]byte, min(length, 4096))
		if _, err := f.ReadAt(name, offset); err != nil {
			return "", err
		}
		return string(bytes.TrimRight(name, "\x00")), nil
	}
	return "", nil
}
