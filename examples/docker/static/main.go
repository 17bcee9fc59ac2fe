// Server needs a secret in its environment and one in a file. It tells that it
// has them by their lengths.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	health := flag.Bool("health", false, "ask the running server, as there is no curl in an empty image")
	flag.Parse()
	if *health {
		reply, err := http.Get("http://127.0.0.1:3000/health")
		if err != nil {
			log.Fatal(err)
		}
		if reply.StatusCode != http.StatusOK {
			log.Fatal(reply.Status)
		}
		return
	}

	key, err := os.ReadFile(os.Getenv("TLS_KEY_FILE"))
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "DATABASE_URL: %d bytes, TLS_KEY_FILE: %d bytes\n", len(os.Getenv("DATABASE_URL")), len(key))
	})
	log.Fatal(http.ListenAndServe(":3000", nil))
}
