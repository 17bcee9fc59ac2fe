//go:build linux

package main

import (
	"fmt"
	"math"
	"strings"
)

// The plot has a panel for each round trip: time over secrets, both on a
// logarithmic scale.
const (
	panelWidth, panelHeight = 250, 260
	marginLeft, marginTop   = 60, 40
	leastMS, mostMS         = 10, 100_000
)

var colours = map[string]string{assExec: "#0b7a4b", sdk: "#c77d0a", guide: "#b3261e", doppler: "#5b6abf"}

func (r report) plot() string {
	var b strings.Builder
	width := marginLeft + len(rtts)*(panelWidth+20)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, marginTop+panelHeight+70)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	for i, rtt := range rtts {
		x := marginLeft + i*(panelWidth+20)
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">round trip %d ms</text>`+"\n", x+panelWidth/2, marginTop-12, rtt.Milliseconds())
		r.grid(&b, x, i == 0)
		for _, name := range columns {
			r.line(&b, x, name, int(rtt.Milliseconds()))
		}
	}
	for i, name := range columns {
		x, y := marginLeft+i*180, marginTop+panelHeight+50
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="14" height="4" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n", x, y-6, colours[name], x+20, y, name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (r report) grid(b *strings.Builder, x int, labels bool) {
	for value := leastMS; value <= mostMS; value *= 10 {
		y := marginTop + yOf(float64(value))
		fmt.Fprintf(b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#ddd"/>`+"\n", x, y, x+panelWidth, y)
		if labels {
			label := fmt.Sprintf("%d ms", value)
			if value >= 1000 {
				label = fmt.Sprintf("%d s", value/1000)
			}
			fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", x-6, y+4, label)
		}
	}
	for _, n := range counts {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%d</text>`+"\n", float64(x)+xOf(n), marginTop+panelHeight+16, n)
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle" fill="#666">secrets</text>`+"\n", x+panelWidth/2, marginTop+panelHeight+31)
}

func (r report) line(b *strings.Builder, x int, name string, rtt int) {
	var points []string
	for _, n := range counts {
		if f := r.find(name, n, rtt); f != nil {
			px, py := float64(x)+xOf(n), marginTop+yOf(f.WallMS)
			points = append(points, fmt.Sprintf("%.1f,%.1f", px, py))
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", px, py, colours[name])
		}
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(points, " "), colours[name])
}

func xOf(n int) float64 {
	return 12 + (panelWidth-24)*math.Log(float64(n))/math.Log(float64(counts[len(counts)-1]))
}

func yOf(ms float64) float64 {
	return panelHeight * (1 - math.Log(ms/leastMS)/math.Log(mostMS/leastMS))
}
