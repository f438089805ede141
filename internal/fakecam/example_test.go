package fakecam_test

import (
	"fmt"
	"net"
	"net/url"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
)

// A camera listens on loopback until it is closed; unplugged, it refuses connections.
func ExampleStart() {
	camera, err := fakecam.Start(fakecam.Options{User: "admin", Pass: "secret", FPS: 10})
	if err != nil {
		panic(err)
	}
	defer func() { _ = camera.Close() }()
	u, err := url.Parse(camera.URL())
	if err != nil {
		panic(err)
	}
	fmt.Println(u.Scheme, u.User, u.Hostname(), u.Path)
	camera.Unplug()
	_, err = net.Dial("tcp", u.Host)
	fmt.Println("unplugged:", err != nil)
	// Output:
	// rtsp admin:secret 127.0.0.1 /live
	// unplugged: true
}
