// Go for the thread pool's rows: a fixed pool of goroutines on a channel, and a goroutine for every fork.
package main

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

type call struct {
	function func() int
	result   chan int
}

func startPool(workers int) chan call {
	calls := make(chan call, 1024)
	for i := 0; i < workers; i++ {
		go func() {
			for next := range calls {
				next.result <- next.function()
			}
		}()
	}
	return calls
}

func submitGet(given arguments) {
	n := given.nOr(1000000)
	sum := 0
	best := bestOf(given.repeats, func() lap {
		calls := startPool(given.workers)
		defer close(calls)
		results := make([]chan int, n)
		watch := start()
		for i := range results {
			i := i
			results[i] = make(chan int, 1)
			calls <- call{func() int { return i & 7 }, results[i]}
		}
		for _, result := range results {
			sum += <-result
		}
		return watch.read()
	})
	report(given.mode, "go_channel_pool", float64(n), best, fmt.Sprintf("sum=%d", sum))
}

func fib(n int) int {
	if n < 2 {
		return n
	}
	var forked int
	var group sync.WaitGroup
	group.Add(1)
	go func() {
		forked = fib(n - 1)
		group.Done()
	}()
	rest := fib(n - 2)
	group.Wait()
	return forked + rest
}

func forkJoin(given arguments) {
	n := given.nOr(30)
	value := 0
	best := bestOf(given.repeats, func() lap {
		watch := start()
		value = fib(n)
		return watch.read()
	})
	previous, calls := 1.0, 1.0
	for i := 2; i <= n; i++ {
		previous, calls = calls, calls+previous+1
	}
	report(given.mode, "go_goroutines", (calls-1)/2, best, fmt.Sprintf("fib=%d", value))
}

func isPrime(n int64) bool {
	limit := int64(math.Sqrt(float64(n)))
	for i := int64(2); i <= limit; i++ {
		if n%i == 0 {
			return false
		}
	}
	return n > 1
}

func countInParallel(numbers []int64) int64 {
	var found int64
	var group sync.WaitGroup
	for _, x := range numbers {
		x := x
		group.Add(1)
		go func() {
			if isPrime(x) {
				atomic.AddInt64(&found, 1)
			}
			group.Done()
		}()
	}
	group.Wait()
	return found
}

func primes(given arguments) {
	var numbers []int64
	for i := 0; i < given.nOr(4); i++ {
		numbers = append(numbers, 112272535095293, 112582705942171, 115280095190773,
			115797848077099, 1099726899285419, 115280095190773)
	}
	found := int64(0)
	serial := bestOf(given.repeats, func() lap {
		watch := start()
		found = 0
		for _, x := range numbers {
			if isPrime(x) {
				found++
			}
		}
		return watch.read()
	})
	parallel := bestOf(given.repeats, func() lap {
		watch := start()
		if countInParallel(numbers) != found {
			panic("wrong count")
		}
		return watch.read()
	})
	report(given.mode, "go_goroutines", float64(len(numbers)), parallel,
		fmt.Sprintf("speed_up=%.4f primes=%d", serial.seconds/parallel.seconds, found))
}

func idle(given arguments) {
	result := make(chan int)
	startPool(given.workers) <- call{func() int { return 1 }, result}
	<-result
	time.Sleep(200 * time.Millisecond)
	watch := start()
	time.Sleep(time.Second)
	second := watch.read()
	report(given.mode, "go", 1, second, fmt.Sprintf("percent=%.6f", 100*second.cpuSeconds/second.seconds))
}

func main() {
	given := readArguments(2)
	switch given.mode {
	case "submit_get":
		submitGet(given)
	case "fork_join":
		forkJoin(given)
	case "primes":
		primes(given)
	case "idle":
		idle(given)
	default:
		unknownMode()
	}
}
