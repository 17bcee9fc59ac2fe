package process

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// elfFile makes the headers of a program: nothing in them is code.
func elfFile(t *testing.T, class elf.Class, order binary.ByteOrder, machine elf.Machine, loader string) string {
	t.Helper()
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(class), byte(elf.ELFDATA2LSB), 1}
	if order == binary.BigEndian {
		ident[elf.EI_DATA] = byte(elf.ELFDATA2MSB)
	}
	var b bytes.Buffer
	write := func(v any) {
		if err := binary.Write(&b, order, v); err != nil {
			t.Fatal(err)
		}
	}
	name := loader + "\x00"
	if class == elf.ELFCLASS64 {
		write(elf.Header64{Ident: ident, Type: 2, Machine: uint16(machine), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 2, Shentsize: 64})
		write(elf.Prog64{Type: uint32(elf.PT_LOAD)})
		write(elf.Prog64{Type: uint32(elf.PT_INTERP), Off: 64 + 2*56, Filesz: uint64(len(name))})
	} else {
		write(elf.Header32{Ident: ident, Type: 2, Machine: uint16(machine), Version: 1, Phoff: 52, Ehsize: 52, Phentsize: 32, Phnum: 2, Shentsize: 40})
		write(elf.Prog32{Type: uint32(elf.PT_LOAD)})
		write(elf.Prog32{Type: uint32(elf.PT_INTERP), Off: 52 + 2*32, Filesz: uint32(len(name))})
	}
	b.WriteString(name)
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, b.Bytes(), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProgramHeadersAreReadInEveryClassAndOrder(t *testing.T) {
	for _, tt := range []struct {
		class   elf.Class
		order   binary.ByteOrder
		machine elf.Machine
		want    string
	}{
		{elf.ELFCLASS64, binary.LittleEndian, elf.EM_X86_64, "x86_64"},
		{elf.ELFCLASS64, binary.LittleEndian, elf.EM_AARCH64, "aarch64"},
		{elf.ELFCLASS64, binary.BigEndian, elf.EM_S390, "s390"},
		{elf.ELFCLASS32, binary.LittleEndian, elf.EM_ARM, "arm"},
		{elf.ELFCLASS32, binary.BigEndian, elf.EM_MIPS, "mips"},
		{elf.ELFCLASS64, binary.LittleEndian, elf.EM_AVR, "another machine"},
	} {
		path := elfFile(t, tt.class, tt.order, tt.machine, "/lib/ld-nowhere.so.1")
		got, ok := readProgram(path)
		if want := (program{tt.want, "/lib/ld-nowhere.so.1"}); !ok || got != want {
			t.Errorf("got %+v, %v; want %+v", got, ok, want)
		}
		if f, err := elf.Open(path); err != nil {
			t.Errorf("debug/elf: %v", err) // then the test is wrong
		} else {
			f.Close()
		}
	}
}

func TestTruncatedELFIsRejected(t *testing.T) {
	whole, err := os.ReadFile(elfFile(t, elf.ELFCLASS64, binary.LittleEndian, elf.EM_X86_64, "/lib/ld.so"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cut")
	for n := range len(whole) {
		if err := os.WriteFile(path, whole[:n], 0o700); err != nil {
			t.Fatal(err)
		}
		if got, ok := readProgram(path); ok {
			t.Errorf("%d bytes of %d: got %+v", n, len(whole), got)
		}
	}
}
