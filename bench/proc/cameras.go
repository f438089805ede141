package proc

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
)

// Cameras starts a program that plays so many cameras, and returns their URLs, which it prints a line each, and what ends it.
func Cameras(cmd *exec.Cmd, cameras int) (urls []string, stop func(), err error) {
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	lines := bufio.NewScanner(out)
	for len(urls) < cameras && lines.Scan() {
		urls = append(urls, lines.Text())
	}
	if len(urls) < cameras {
		stop()
		return nil, nil, fmt.Errorf("the camera server started %d of %d cameras", len(urls), cameras)
	}
	return urls, stop, nil
}
