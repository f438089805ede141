package address_test

import (
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/address"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// People write passwords as they are; a URL needs them escaped.
func ExampleParse() {
	for _, text := range []string{"rtsp://admin:p@ss@192.0.2.7/live", "rtspsh://192.0.2.7/live"} {
		a, err := address.Parse(secret.New(text))
		if err != nil {
			panic(err)
		}
		fmt.Println(a.URL, a.At, a.TLS, a.Tunnel)
	}
	// Output:
	// rtsp://admin:p%40ss@192.0.2.7/live 192.0.2.7:554 false false
	// rtsp://192.0.2.7:443/live 192.0.2.7:443 true true
}
