package mask

import (
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// benchValues returns 50 values of the usual kinds.
func benchValues() []string {
	rnd := rand.NewChaCha8([32]byte{3})
	random := func(n int) string {
		b := make([]byte, n)
		rnd.Read(b)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	var all []string
	for range 10 {
		all = append(all,
			"sk_live_"+random(24),
			"postgres://app:"+random(15)+"@db.example.com:5432/app?sslmode=require",
			"ghp_"+random(27),
			random(12),
			"-----BEGIN PRIVATE KEY-----\n"+random(48)+"\n"+random(48)+"\n"+random(48)+"\n-----END PRIVATE KEY-----\n",
		)
	}
	return all
}

const buildLog = `#12 [builder 4/9] RUN npm ci --no-audit
npm warn deprecated inflight@1.0.6: This module is not supported, and leaks memory. Do not use it.
added 1342 packages from 845 contributors in 31.482s
[INFO] ------------------------------------------------------------------------
[INFO] Building orders-service 2.14.0-SNAPSHOT                        [7/19]
[INFO] Downloading from central: https://repo.example.com/maven2/org/slf4j/slf4j-api/2.0.9/slf4j-api-2.0.9.pom
ok  	github.com/example/orders/internal/ledger	0.412s	coverage: 81.3% of statements
    --- PASS: TestTransferIsIdempotent/retries_after_a_timeout (0.03s)
src/payment/handler.ts(118,7): error TS2345: Argument of type 'string | undefined' is not assignable.
sha256:9b2f6d0c1e7a4f55b3f1e0d2c8a7960f4e3d2c1b0a99887766554433221100ff 12.58MB / 31.41MB 2.1s
integrity: sha512-H/TsyFQjQ1fbyZ2pZ7dFhG0pP3+JmP7r5v5Zb1FzNfXkTt2J6Yd8b4xVqv0yQ9n0bWcGQ8m3uU1o8o7XlA==
2026-03-14T09:26:53.589Z INFO  [main] c.e.orders.Application : Started Application in 4.217 seconds
`

// nearMisses is a log in which every few words begin like a value and then
// go on otherwise.
func nearMisses(values []string) []byte {
	var b strings.Builder
	for i := range 4000 {
		v := values[i%len(values)]
		b.WriteString(v[:4+i%(min(len(v), 24)-4)])
		b.WriteString([]string{" ok\n", "-----------------------", "postgres://localhost/", " connecting to the ledger, "}[i%4])
	}
	return []byte(b.String())
}

func BenchmarkWriter(b *testing.B) {
	values := benchValues()
	secret := fmt.Sprintf(strings.Repeat(buildLog+"token %s\n", 100), toAny(values, 100)...)
	for _, bb := range []struct {
		name string
		text []byte
		size int
	}{
		{"BuildLog", []byte(strings.Repeat(buildLog, 200)), 32 << 10},
		{"BuildLogByLine", []byte(strings.Repeat(buildLog, 200)), 100},
		{"WithSecrets", []byte(secret), 32 << 10},
		{"NearMisses", nearMisses(values), 32 << 10},
	} {
		b.Run(bb.name, func(b *testing.B) {
			w := New(values).Writer(io.Discard)
			b.SetBytes(int64(len(bb.text)))
			b.ReportAllocs()
			for b.Loop() {
				for i := 0; i < len(bb.text); i += bb.size {
					w.Write(bb.text[i:min(i+bb.size, len(bb.text))])
				}
			}
		})
	}
}

func toAny(values []string, n int) []any {
	all := make([]any, n)
	for i := range all {
		all[i] = values[i%len(values)]
	}
	return all
}

func BenchmarkNew(b *testing.B) {
	values := benchValues()
	b.ReportAllocs()
	for b.Loop() {
		New(values)
	}
}
