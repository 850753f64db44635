// Stopwatch, arguments and the result line, as in measurement.hpp. Built together with each Go peer.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type arguments struct {
	mode    string
	n       int
	workers int
	repeats int
}

func (a arguments) nOr(fallback int) int {
	if a.n > 0 {
		return a.n
	}
	return fallback
}

func readArguments(workers int) arguments {
	given := arguments{"", 0, workers, 3}
	if len(os.Args) > 1 {
		given.mode = os.Args[1]
	}
	for i, into := range []*int{&given.n, &given.workers, &given.repeats} {
		if len(os.Args) > i+2 {
			*into, _ = strconv.Atoi(os.Args[i+2])
		}
	}
	runtime.GOMAXPROCS(given.workers)
	return given
}

type lap struct {
	seconds    float64
	cpuSeconds float64
}

type stopwatch struct {
	wall time.Time
	cpu  float64
}

func start() stopwatch { return stopwatch{time.Now(), cpuNow()} }

func (s stopwatch) read() lap { return lap{time.Since(s.wall).Seconds(), cpuNow() - s.cpu} }

func cpuNow() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(0, &usage)
	return float64(usage.Utime.Sec+usage.Stime.Sec) + float64(usage.Utime.Usec+usage.Stime.Usec)*1e-6
}

func bestOf(repeats int, body func() lap) lap {
	best := body()
	for i := 1; i < repeats; i++ {
		if next := body(); next.seconds < best.seconds {
			best = next
		}
	}
	return best
}

// statusKB reads a figure in kB, such as VmHWM, from /proc/self/status.
func statusKB(key string) int {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if strings.HasPrefix(line, key+":") {
			value, _ := strconv.Atoi(strings.Fields(line)[1])
			return value
		}
	}
	return -1
}

func report(bench, implementation string, operations float64, total lap, extras string) {
	fmt.Printf("R bench=%s impl=%s n=%.0f secs=%.6f ns_op=%.3f cpu_ns_op=%.3f hwm_kb=%d %s\n",
		bench, implementation, operations, total.seconds, total.seconds*1e9/operations,
		total.cpuSeconds*1e9/operations, statusKB("VmHWM"), extras)
}

func unknownMode() {
	fmt.Fprintln(os.Stderr, "no such mode:", strings.Join(os.Args, " "))
	os.Exit(2)
}
