// Package mask replaces secret values in a stream by ***, also where a value
// is split over several writes. It filters bytes, not text, so a stream that
// holds no secret passes unchanged whatever it is.
//
// # How it is fast
//
// Nearly all output is not a secret, so the work is in proving that quickly.
// Every pattern is at least four bytes long. If it starts at i or at i+1, the
// three bytes at i+1 are its bytes 1 to 3 or its bytes 0 to 2. A bitmap of
// 16 KiB, indexed by a hash, holds both triples of every pattern, so that one
// load, one multiplication and one bit test clear two positions. Only where
// the bit is set are the first four bytes looked up, and only where they do
// begin a pattern does an Aho-Corasick automaton take over, until it falls
// off the last pattern it could be in.
//
// The automaton has no states for the first three bytes of a pattern: with
// many values nearly every byte begins one, and it would never be idle. It
// is linear in the length of the stream whatever the values are.
//
// # How it is small
//
// A node for each byte of each spelling of a long value would take hundreds of
// times its length. So only the head of a long pattern has nodes. The rest is
// cut into blocks of one length, of which no more than a hash is kept: where a
// head or a block ends, the next block's length of bytes is looked up. A head
// counts by itself, and a block wherever one may follow, so that a long value
// that is cut short or goes on otherwise is replaced up to that block.
package mask

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"
)

// minLen is the length of the shortest pattern. Shorter values are ordinary
// words and numbers: replacing them would garble the output and, by what is
// missing from it, tell the value.
const minLen = 4

// blockSize is that of a Set; tests take less. A pattern of less than two
// blocks is all head.
const blockSize = 128

// A node's depth, which is less than two blocks, is a byte.
const _ = uint8(2*blockSize - 1)

// seed is the same for all sets, as a block may end under another one than it
// began under.
var seed = maphash.MakeSeed()

// A Set is what to look for. It never changes and may serve any number of
// writers at once.
type Set struct {
	filter   [1 << 11]uint64  // a bit for the hash of bytes 0-2 and 1-3 of each pattern
	starts   map[uint32]int32 // a pattern's first four bytes: the node they lead to
	prefixes map[string]bool  // the first one, two and three bytes of each pattern
	nodes    []node           // nodes[0] is none: no pattern has begun
	block    int              // length of a block
	blocks   []uint64         // sorted hashes of blocks; the lowest bit is set if another may follow
}

// A node stands for the first depth bytes of one or more patterns.
// Its children are a linked list: nearly always there is just one.
type node struct {
	fail         int32 // the node of the longest proper suffix that has one
	child        int32
	sibling      int32
	last         byte
	depth        uint8
	longest      uint8 // length of the longest head ending here, 0 if none does
	blockFollows bool  // after a head that ends here
}

// New compiles the values, each line of those with several, and the spellings
// that logs show. Values and lines shorter than four bytes are left out. It
// guards against accidents: a program that means to show a value can always
// write it in another way.
func New(values []string) *Set { return newSet(values, blockSize) }

func newSet(values []string, block int) *Set {
	s := &Set{
		starts:   make(map[uint32]int32),
		prefixes: make(map[string]bool),
		nodes:    make([]node, 1, 1+lineNodes(values, block)),
		block:    block,
	}
	patterns(values, block, s.addPattern)
	slices.Sort(s.blocks)
	s.blocks = slices.Clip(slices.Compact(s.blocks))
	s.link()
	return s
}

// lineNodes is what the lines of large values need at most. To grow to so much
// would take it twice.
func lineNodes(values []string, block int) int {
	n := 0
	for _, v := range values {
		if !isLarge(v, block) {
			continue
		}
		for line := range strings.Lines(v) {
			n += min(len(line), 2*block)
		}
	}
	return n
}

// addPattern makes the head as long as leaves a whole number of blocks.
func (s *Set) addPattern(pattern string) {
	head := len(pattern)
	if head >= 2*s.block {
		head = s.block + head%s.block
	}
	n := s.addHead(pattern[:head])
	for rest := pattern[head:]; rest != ""; rest = rest[s.block:] {
		s.nodes[n].blockFollows = true
		s.blocks = append(s.blocks, blockHash(rest[:s.block], len(rest) > s.block))
	}
}

func blockHash(block string, blockFollows bool) uint64 {
	h := maphash.String(seed, block) &^ 1
	if blockFollows {
		h |= 1
	}
	return h
}

// addHead returns the node that the head ends in.
func (s *Set) addHead(pattern string) int32 {
	for i := 1; i < minLen; i++ {
		s.prefixes[strings.Clone(pattern[:i])] = true // not to keep the whole
	}
	first := binary.LittleEndian.Uint32([]byte(pattern[:minLen]))
	n := s.starts[first]
	if n == 0 {
		n = s.newNode(node{last: pattern[minLen-1], depth: minLen})
		s.starts[first] = n
		for _, three := range []uint32{first & 0xffffff, first >> 8} {
			h := hash(three)
			s.filter[h>>6] |= 1 << (h & 63)
		}
	}
	for _, b := range []byte(pattern[minLen:]) {
		c := s.child(n, b)
		if c == 0 {
			up := s.nodes[n]
			c = s.newNode(node{last: b, depth: up.depth + 1, sibling: up.child})
			s.nodes[n].child = c
		}
		n = c
	}
	s.nodes[n].longest = s.nodes[n].depth
	return n
}

func (s *Set) newNode(n node) int32 {
	s.nodes = append(s.nodes, n)
	return int32(len(s.nodes) - 1)
}

// link sets where each node continues when its patterns fail. It goes by
// depth, as a node's answer is built on those of shorter ones.
func (s *Set) link() {
	type entry struct {
		node int32
		last uint32 // the last four bytes, the latest one on top
	}
	var level, next []entry
	for first, n := range s.starts {
		level = append(level, entry{n, first})
	}
	for range 2 * s.block { // no head is longer
		next = next[:0]
		for _, up := range level {
			for c := s.nodes[up.node].child; c != 0; c = s.nodes[c].sibling {
				n := &s.nodes[c]
				last := up.last>>8 | uint32(n.last)<<24
				n.fail = s.step(s.nodes[up.node].fail, n.last)
				if n.fail == 0 {
					n.fail = s.starts[last]
				}
				n.longest = max(n.longest, s.nodes[n.fail].longest)
				n.blockFollows = n.blockFollows || s.nodes[n.fail].blockFollows
				next = append(next, entry{c, last})
			}
		}
		level, next = next, level
	}
}

func (s *Set) child(n int32, b byte) int32 {
	c := s.nodes[n].child
	for c != 0 && s.nodes[c].last != b {
		c = s.nodes[c].sibling
	}
	return c
}

// step returns the node for the longest suffix that b continues. At 0 the
// caller still has to look up the last four bytes.
func (s *Set) step(n int32, b byte) int32 {
	for n != 0 {
		if c := s.child(n, b); c != 0 {
			return c
		}
		n = s.nodes[n].fail
	}
	return 0
}

// find returns the first position from i on where the first four bytes of a
// pattern are, and their node; or 0 and the position of what may yet become
// these four bytes, at most three before the end.
func (s *Set) find(text []byte, i int) (int, int32) {
	for ; i+minLen <= len(text); i += 2 {
		b := binary.LittleEndian.Uint32(text[i:])
		h := hash(b >> 8)
		if s.filter[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		if n := s.starts[b]; n != 0 {
			return i, n
		}
		i-- // it may still start at i+1
	}
	for i < len(text) && !s.prefixes[string(text[i:])] {
		i++
	}
	return i, 0
}

// findBlock reports whether text is a block, and whether another may follow.
func (s *Set) findBlock(text []byte) (found, blockFollows bool) {
	last := maphash.Bytes(seed, text) &^ 1
	i, found := slices.BinarySearch(s.blocks, last)
	if found {
		i++
	}
	blockFollows = i < len(s.blocks) && s.blocks[i] == last|1
	return found || blockFollows, blockFollows
}

func hash(b uint32) uint32 {
	return b * 0x9E3779B1 >> 15 // Knuth's multiplier; the high bits are the mixed ones
}
