package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// gather is how many bytes the floor gathers before a write: four times what the agent does.
const gather = 1 << 20

// floor reads cameras over RTSP and TCP and writes the bytes to files as they come: nobody who
// records these cameras can do less.
func floor(dir string, urls []string) {
	var group sync.WaitGroup
	for i, raw := range urls {
		group.Go(func() {
			if err := copyCamera(raw, filepath.Join(dir, fmt.Sprintf("%d.rtp", i))); err != nil {
				fmt.Fprintln(os.Stderr, "floor:", err)
				os.Exit(1)
			}
		})
	}
	group.Wait()
}

func copyCamera(raw, path string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return err
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	in := bufio.NewReaderSize(conn, 64<<10)
	c := rtspClient{conn: conn, in: in}
	sdp, _, err := c.request("DESCRIBE", raw, "Accept: application/sdp")
	if err != nil {
		return err
	}
	_, session, err := c.request("SETUP", control(raw, sdp), "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
	if err != nil {
		return err
	}
	session, _, _ = strings.Cut(session, ";")
	if _, _, err := c.request("PLAY", raw, "Session: "+session, "Range: npt=0.000-"); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	buffer := make([]byte, gather)
	for {
		n, err := io.ReadFull(in, buffer)
		if _, err := file.Write(buffer[:n]); err != nil {
			return err
		}
		if err != nil {
			return err
		}
	}
}

type rtspClient struct {
	conn net.Conn
	in   *bufio.Reader
	cseq int
}

func (c *rtspClient) request(method, target string, headers ...string) (body, session string, err error) {
	c.cseq++
	text := fmt.Sprintf("%s %s RTSP/1.0\r\nCSeq: %d\r\n", method, target, c.cseq)
	for _, h := range headers {
		text += h + "\r\n"
	}
	if _, err := io.WriteString(c.conn, text+"\r\n"); err != nil {
		return "", "", err
	}
	reader := textproto.NewReader(c.in)
	line, err := reader.ReadLine()
	if err != nil {
		return "", "", err
	}
	if !strings.Contains(line, " 200 ") {
		return "", "", fmt.Errorf("%s: %s", method, line)
	}
	header, err := reader.ReadMIMEHeader()
	if err != nil {
		return "", "", err
	}
	n, _ := strconv.Atoi(header.Get("Content-Length"))
	content := make([]byte, n)
	if _, err := io.ReadFull(c.in, content); err != nil {
		return "", "", err
	}
	return string(content), header.Get("Session"), nil
}

// control finds the URL of the first medium.
func control(base, sdp string) string {
	_, media, _ := strings.Cut(sdp, "m=")
	for line := range strings.Lines(media) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "a=control:"); ok {
			if strings.Contains(name, "://") {
				return name
			}
			return strings.TrimSuffix(base, "/") + "/" + name
		}
	}
	return base
}
