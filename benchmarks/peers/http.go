// Go's net/http as a client. usage: http_go delay|keep_alive|threads|tls|h2 N CONCURRENCY HOST:PORT
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
)

func main() {
	mode := os.Args[1]
	n, _ := strconv.Atoi(os.Args[2])
	concurrency, _ := strconv.Atoi(os.Args[3])
	path, scheme := "/delay/1", "http://"
	if mode == "tls" || mode == "h2" {
		path, scheme = "/get", "https://"
	} else if mode == "keep_alive" {
		path = "/get"
	} else if mode == "delay" {
		concurrency = n
	}
	runtime.GOMAXPROCS(1)
	syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 1048576, Max: 1048576})
	url := scheme + os.Args[4] + path
	transport := &http.Transport{
		MaxIdleConns: concurrency, MaxIdleConnsPerHost: concurrency, DisableCompression: true}
	if mode == "tls" { // an empty table: no protocol but HTTP/1.1
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	client := &http.Client{Transport: transport}

	before := statusKB("VmHWM")
	watch := start()
	var started, good int64
	var group sync.WaitGroup
	for i := 0; i < concurrency; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for atomic.AddInt64(&started, 1) <= int64(n) {
				response, err := client.Get(url)
				if err != nil {
					continue
				}
				io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if response.StatusCode == 200 && (mode != "h2" || response.ProtoMajor == 2) {
					atomic.AddInt64(&good, 1)
				}
			}
		}()
	}
	group.Wait()
	total := watch.read()
	if good != int64(n) {
		fmt.Fprintln(os.Stderr, "go:", good, "of", n, "responses were good")
		os.Exit(1)
	}
	report(mode, "go_net_http", float64(n), total, fmt.Sprintf("per_second=%.1f cpu_us=%.3f kb_each=%.3f",
		float64(n)/total.seconds, total.cpuSeconds*1e6/float64(n),
		float64(statusKB("VmHWM")-before)/float64(n)))
}
