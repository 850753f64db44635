// Go's net/http server on one processor, for the server's row: /get answers with small JSON.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
)

const smallJSON = `{"args": {}, "headers": {"Accept": "*/*", "Host": "127.0.0.1"}, "origin": "127.0.0.1", ` +
	`"url": "http://127.0.0.1/get", "pad": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}` + "\n"

func main() {
	runtime.GOMAXPROCS(1)
	port := "0"
	if len(os.Args) > 1 {
		port = os.Args[1]
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:"+port)
	if err != nil {
		panic(err)
	}
	fmt.Println("listening on", listener.Addr())
	http.Serve(listener, http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		answer.Header().Set("Content-Type", "application/json")
		fmt.Fprint(answer, smallJSON)
	}))
}
