//go:build linux

package main

import (
	"fmt"
	"path/filepath"
)

// compare tells what has become of ass-exec since another binary of it: both
// run in turn, so that a machine that is busier for a while is so for both.
func compare(binary string, rounds int) error {
	return withTools(func(t tools) error {
		places, err := newPlaces(t.dir)
		if err != nil {
			return err
		}
		other := t
		if other.assExec, err = filepath.Abs(binary); err != nil {
			return err
		}
		pair := []launcher{t.launchers()[0], other.launchers()[0]}
		pair[1].name = "the other"
		var fetches []fetch
		for _, p := range places[:2] {
			for _, n := range []int{1, 20, 100} {
				measured, err := measureFetch(pair, p, n, rounds)
				if err != nil {
					return err
				}
				fetches = append(fetches, measured...)
			}
		}
		fmt.Print(ratios(fetches))
		return nil
	})
}

// ratios is a table of pairs in Markdown: what the first takes, over what the
// second takes.
func ratios(pairs []fetch) string {
	text := "\n| secrets | round trip | wall | CPU | memory |\n| ---: | ---: | ---: | ---: | ---: |\n"
	for i := 0; i+1 < len(pairs); i += 2 {
		a, b := pairs[i], pairs[i+1]
		text += fmt.Sprintf("| %d | %d ms | %.3f | %.3f | %.3f |\n",
			a.Secrets, a.RTTMS, a.WallMS/b.WallMS, a.CPUMS/b.CPUMS, a.RSSMiB/b.RSSMiB)
	}
	return text
}
