//go:build !race

package mask

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// largeValues are of 1 MiB each.
func largeValues() map[string]string {
	const size = 1 << 20
	random := make([]byte, size)
	rand.NewChaCha8([32]byte{4}).Read(random)
	text := randomText(size)
	var object strings.Builder
	for i := 0; object.Len() < size; i++ {
		fmt.Fprintf(&object, "  \"key/%d\": \"<%x&'%s'>\",\n", i, random[i:i+8], text[i:i+10])
	}
	return map[string]string{
		"binary":      string(random),
		"one line":    text,
		"PEM":         strings.Join(chunks(text, 64), "\n"),
		"JSON":        object.String(),
		"one letter":  strings.Repeat("a", size),
		"short lines": strings.Join(chunks(hex.EncodeToString(random), 7), "\n"),
	}
}

func TestLargeValueCostsLittleMemory(t *testing.T) {
	const limit = 64 << 20
	for name, value := range largeValues() {
		t.Run(name, func(t *testing.T) {
			text := []byte("<" + strings.Trim(value, "\n") + ">")
			var out bytes.Buffer
			before := heap()
			w := New([]string{value}).Writer(&out)
			w.Write(text)
			w.Close()
			if got := heap() - before; got > limit {
				t.Errorf("got a heap of %d MiB, want at most %d", got>>20, limit>>20)
			}
			runtime.KeepAlive(w)
			if out.String() != "<***>" {
				t.Errorf("got %d bytes, want <***>", out.Len())
			}
		})
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
