// Go for the coroutines' rows, on one processor. A buffered channel stands for the semaphore.
package main

import (
	"fmt"
	"runtime"
	"sync"
	"time"
)

var checksum int

func finish(given arguments, n int, watch stopwatch) {
	report(given.mode, "go", float64(n), watch.read(), fmt.Sprintf("sum=%d", checksum))
}

func spawnJoin(given arguments) {
	n := given.nOr(1000000)
	results := make(chan int)
	watch := start()
	for i := 0; i < n; i++ {
		i := i
		go func() { results <- i & 7 }()
		checksum += <-results
	}
	finish(given, n, watch)
}

func switchTasks(given arguments) {
	n := given.nOr(5000000)
	var group sync.WaitGroup
	watch := start()
	for k := 0; k < 2; k++ {
		group.Add(1)
		go func() {
			for i := 0; i < n/2; i++ {
				runtime.Gosched()
			}
			group.Done()
		}()
	}
	group.Wait()
	finish(given, n, watch)
}

func sleepers(given arguments) {
	n := given.nOr(1000000)
	before := statusKB("VmHWM")
	var group sync.WaitGroup
	group.Add(n)
	watch := start()
	for i := 0; i < n; i++ {
		go func() {
			time.Sleep(time.Second)
			group.Done()
		}()
	}
	group.Wait()
	total := watch.read()
	bytes := float64(statusKB("VmHWM")-before) * 1024 / float64(n)
	report(given.mode, "go", float64(n), total,
		fmt.Sprintf("bytes=%.2f over_one_second=%.6f", bytes, total.seconds-1))
}

func semaphore(given arguments) {
	n := given.nOr(1000000)
	permits := make(chan struct{}, 10)
	var group sync.WaitGroup
	watch := start()
	for k := 0; k < 100; k++ {
		group.Add(1)
		go func() {
			for i := 0; i < n/100; i++ {
				permits <- struct{}{}
				runtime.Gosched()
				<-permits
			}
			group.Done()
		}()
	}
	group.Wait()
	finish(given, n, watch)
}

func boundedQueue(given arguments) {
	n := given.nOr(5000000)
	items := make(chan int, 1024)
	var group sync.WaitGroup
	watch := start()
	for k := 0; k < 3; k++ {
		group.Add(1)
		go func() {
			sum := 0
			for item := range items {
				sum += item & 1
			}
			group.Done()
		}()
	}
	for i := 0; i < n; i++ {
		items <- i & 0xffff
	}
	close(items)
	group.Wait()
	finish(given, n, watch)
}

func timers(given arguments) {
	n := given.nOr(2000000)
	alive := make([]*time.Timer, 1000)
	watch := start()
	for i := 0; i < n; i++ {
		oldest := &alive[i%1000]
		if *oldest != nil {
			(*oldest).Stop()
		}
		*oldest = time.AfterFunc(time.Duration(10000+i%1000)*time.Millisecond, func() {})
	}
	finish(given, n, watch)
}

func main() {
	given := readArguments(1)
	switch given.mode {
	case "spawn_join":
		spawnJoin(given)
	case "switch":
		switchTasks(given)
	case "sleepers":
		sleepers(given)
	case "sem":
		semaphore(given)
	case "chan":
		boundedQueue(given)
	case "timers":
		timers(given)
	default:
		unknownMode()
	}
}
