package mask

import (
	"slices"
	"strings"
	"testing"
)

func TestRoomIsMadeForTheLinesOfLargeValuesAlone(t *testing.T) {
	const block = 8
	small := strings.Repeat("x", 32*block)
	line := strings.Repeat("y", 2*block-1)
	large := strings.Repeat("z", 32*block) + "\n" + line + "\n" + line
	if got, want := lineNodes([]string{small, large, small}, block), 2*block+2*block+len(line); got != want {
		t.Errorf("got room for %d nodes, want %d", got, want)
	}
	if got := cap(newSet([]string{large}, block).nodes); got < 1+lineNodes([]string{large}, block) {
		t.Errorf("got room for %d nodes", got)
	}
}

func TestPrefixesAreShorterThanAnyPattern(t *testing.T) {
	for prefix := range New([]string{"hunter2"}).prefixes {
		if len(prefix) >= minLen {
			t.Errorf("got %q", prefix)
		}
	}
}

// A block is the last of one value and in the middle of another, or only one of
// the two.
func TestBlockIsFoundWithWhatMayFollow(t *testing.T) {
	const last, middle, both = "last....", "middle..", "both...."
	s := &Set{blocks: []uint64{
		blockHash(last, false), blockHash(middle, true), blockHash(both, false), blockHash(both, true),
	}}
	slices.Sort(s.blocks)
	one := &Set{blocks: []uint64{blockHash(last, false)}} // nothing comes after it
	for _, tt := range []struct {
		set                 *Set
		text                string
		found, blockFollows bool
	}{
		{s, last, true, false},
		{s, middle, true, true},
		{s, both, true, true},
		{s, "none....", false, false},
		{one, last, true, false},
		{&Set{}, last, false, false},
	} {
		if found, blockFollows := tt.set.findBlock([]byte(tt.text)); found != tt.found || blockFollows != tt.blockFollows {
			t.Errorf("%s: got %v, %v; want %v, %v", tt.text, found, blockFollows, tt.found, tt.blockFollows)
		}
	}
}

// Otherwise the bitmap would rule nothing out.
func TestHashSpreadsTriples(t *testing.T) {
	const triples = 1000
	hashes := make(map[uint32]bool)
	for i := range uint32(triples) {
		hashes[hash(0x616161+i)] = true
	}
	if len(hashes) < triples*9/10 {
		t.Errorf("got %d hashes of %d triples", len(hashes), triples)
	}
}
