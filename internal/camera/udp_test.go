package camera

import (
	"encoding/binary"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestABurstOverUDPWaits sends a large keyframe to a socket that nobody reads yet.
func TestABurstOverUDPWaits(t *testing.T) {
	t.Parallel()
	if text, err := os.ReadFile("/proc/sys/net/core/rmem_max"); err != nil {
		t.Skip("it is not known what the system grants: ", err)
	} else if most, err := strconv.Atoi(strings.TrimSpace(string(text))); err != nil || most < udpSpace {
		t.Skipf("the system grants %s bytes to a socket (%v)", strings.TrimSpace(string(text)), err)
	}
	socket, err := listenUDP("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	camera, err := net.Dial("udp4", socket.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer camera.Close()
	const packets, size = 720, 1400 // 1 MB
	for i := range packets {
		packet := make([]byte, size)
		binary.BigEndian.PutUint32(packet, uint32(i))
		if _, err := camera.Write(packet); err != nil {
			t.Fatal(err)
		}
	}
	// On loopback what is written has arrived, or is lost.
	if err := socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 2*size)
	for i := range packets {
		n, _, err := socket.ReadFrom(buffer)
		if err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		if got := binary.BigEndian.Uint32(buffer[:n]); got != uint32(i) {
			t.Fatalf("packet %d came where number %d was sent", got, i)
		}
	}
}
