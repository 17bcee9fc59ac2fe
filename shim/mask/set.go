// Package mask replaces secret values in a stream by ***, also where a value
// is split over several writes. It filters bytes, not text, so a stream that
// holds no secret passes unchanged whatever it is.
//
// # How it is fast
//
// Nearly all output is not a secret, so the work is in proving that quickly.
// Every pattern is at least four bytes long. If it starts at i or at i+1, the
// three bytes at i+1 are its bytes 1 to 3 or its bytes 0 to 2. A bitmap of
// 8 KiB, indexed by a hash, holds both triples of every pattern, so that one
// load, one multiplication and one bit test clear two positions. Only where
// the bit is set are the first four bytes looked up, and only where they do
// begin a pattern does an Aho-Corasick automaton take over, until it falls
// off the last pattern it could be in.
//
// The automaton has no states for the first three bytes of a pattern: with
// many values nearly every byte begins one, and it would never be idle. It
// is linear in the length of the stream whatever the values are.
package mask

import "encoding/binary"

// floor is the length of the shortest pattern. Shorter values are ordinary
// words and numbers: replacing them would garble the output and, by what is
// missing from it, tell the value.
const floor = 4

// A Set is what to look for. It never changes and may serve any number of
// writers at once.
type Set struct {
	filter [1 << 10]uint64  // a bit for the hash of bytes 0-2 and 1-3 of each pattern
	starts map[uint32]int32 // a pattern's first four bytes: the node they lead to
	heads  map[string]bool  // the first one, two and three bytes of each pattern
	nodes  []node           // nodes[0] is none: no pattern has begun
}

// A node stands for the first depth bytes of one or more patterns.
// Its children are a linked list: nearly always there is just one.
type node struct {
	last    uint32 // the last four bytes, the latest one on top
	depth   int32
	longest int32 // length of the longest pattern ending here, 0 if none does
	fail    int32 // the node of the longest proper suffix that has one
	child   int32
	sibling int32
}

// New compiles the values, each line of those with several, and their base64,
// URL and JSON forms. Values and lines shorter than four bytes are left out.
// It is a net under accidents: a program that means to show a value has other
// ways to write it.
func New(values []string) *Set {
	s := &Set{
		starts: make(map[uint32]int32),
		heads:  make(map[string]bool),
		nodes:  make([]node, 1),
	}
	for _, p := range patterns(values) {
		s.add(p)
	}
	s.link()
	return s
}

func (s *Set) add(pattern string) {
	for i := 1; i < floor; i++ {
		s.heads[pattern[:i]] = true
	}
	first := binary.LittleEndian.Uint32([]byte(pattern[:floor]))
	n := s.starts[first]
	if n == 0 {
		n = s.newNode(node{last: first, depth: floor})
		s.starts[first] = n
		for _, three := range []uint32{first & 0xffffff, first >> 8} {
			h := hash(three)
			s.filter[h>>6] |= 1 << (h & 63)
		}
	}
	for _, b := range []byte(pattern[floor:]) {
		c := s.child(n, b)
		if c == 0 {
			up := s.nodes[n]
			c = s.newNode(node{last: up.last>>8 | uint32(b)<<24, depth: up.depth + 1, sibling: up.child})
			s.nodes[n].child = c
		}
		n = c
	}
	s.nodes[n].longest = s.nodes[n].depth
}

func (s *Set) newNode(n node) int32 {
	s.nodes = append(s.nodes, n)
	return int32(len(s.nodes) - 1)
}

// link sets where each node continues when its patterns fail. It goes by
// depth, as a node's answer is built on those of shorter ones.
func (s *Set) link() {
	queue := make([]int32, 0, len(s.nodes))
	for _, n := range s.starts {
		queue = append(queue, n)
	}
	for i := 0; i < len(queue); i++ {
		up := s.nodes[queue[i]]
		for c := up.child; c != 0; c = s.nodes[c].sibling {
			n := &s.nodes[c]
			n.fail = s.step(up.fail, byte(n.last>>24))
			if n.fail == 0 {
				n.fail = s.starts[n.last]
			}
			n.longest = max(n.longest, s.nodes[n.fail].longest)
			queue = append(queue, c)
		}
	}
}

func (s *Set) child(n int32, b byte) int32 {
	c := s.nodes[n].child
	for c != 0 && byte(s.nodes[c].last>>24) != b {
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
	for ; i+floor <= len(text); i += 2 {
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
	for i < len(text) && !s.heads[string(text[i:])] {
		i++
	}
	return i, 0
}

func hash(b uint32) uint16 {
	return uint16(b * 0x9E3779B1 >> 16) // Knuth's multiplier; the high bits are the mixed ones
}
