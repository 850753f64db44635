// Programs whose bottleneck is known, in Go: `targets NAME`. Each runs until it is ended.
package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

var sink uint64

func compute(rounds int) {
	x := uint64(1)
	for i := 0; i < rounds*1000; i++ {
		x = x*6364136223846793005 + 1442695040888963407
	}
	sink = x
}

func client(milliseconds int) {
	line, err := net.Dial("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		panic(err)
	}
	reader := bufio.NewReader(line)
	for {
		fmt.Fprintf(line, "%d\n", milliseconds)
		if _, err := reader.ReadString('\n'); err != nil {
			panic(err)
		}
	}
}

func together(count int, f func()) {
	for i := 1; i < count; i++ {
		go f()
	}
	f()
}

var lock sync.Mutex

var programs = map[string]func(){
	"sequential_requests": func() { client(10) },
	"many_requests":       func() { together(150, func() { client(200) }) },
	"one_goroutine": func() {
		for {
			compute(1000)
		}
	},
	"eight_goroutines": func() {
		together(8, func() {
			for {
				compute(1000)
			}
		})
	},
	"mutex_around_work": func() {
		together(8, func() {
			for {
				lock.Lock()
				compute(2000)
				lock.Unlock()
			}
		})
	},
	"synced_writes": func() {
		file, err := os.CreateTemp(".", "scratch")
		if err != nil {
			panic(err)
		}
		os.Remove(file.Name())
		for {
			file.Write(make([]byte, 4096))
			file.Sync()
		}
	},
	"sleeps": func() {
		for {
			time.Sleep(30 * time.Millisecond)
		}
	},
	"idle_server": func() { http.ListenAndServe("127.0.0.1:0", nil) },
}

func main() { programs[os.Args[1]]() }
