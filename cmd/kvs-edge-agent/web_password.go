package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// maxPasswordLine bounds what is read of a line.
const maxPasswordLine = 4096

// readPassword reads a line: from a terminal twice, without showing it.
func readPassword(ctx context.Context, in io.Reader, prompts io.Writer, role string) (string, error) {
	lines := bufio.NewReader(io.LimitReader(in, maxPasswordLine))
	file, ok := in.(*os.File)
	if !ok {
		return passwordLine(lines)
	}
	before, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	if err != nil { // not a terminal
		return passwordLine(lines)
	}
	silent := *before
	silent.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(file.Fd()), unix.TCSETSF, &silent); err != nil {
		return "", fmt.Errorf("the terminal cannot hide the password: %w", err)
	}
	restore := func() { _ = unix.IoctlSetTermios(int(file.Fd()), unix.TCSETSF, before) }
	defer restore()
	defer context.AfterFunc(ctx, restore)() // Ctrl-C ends the program while it reads
	fmt.Fprintf(prompts, "New password of the role %s: ", role)
	password, err := passwordLine(lines)
	if err != nil {
		return "", err
	}
	fmt.Fprint(prompts, "\nThe same again: ")
	again, err := passwordLine(lines)
	fmt.Fprintln(prompts)
	if err != nil {
		return "", err
	}
	if again != password {
		return "", errors.New("the two passwords differ: nothing is changed")
	}
	return password, nil
}

func passwordLine(lines *bufio.Reader) (string, error) {
	line, err := lines.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("the password cannot be read: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", errors.New("the password is empty: write it as a line to the standard input, or use --remove")
	}
	if !utf8.ValidString(line) {
		return "", errors.New("the password is not text in UTF-8, which is what browsers send: set the terminal or the file to UTF-8")
	}
	return line, nil
}
