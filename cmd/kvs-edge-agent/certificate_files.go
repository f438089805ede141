package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxCertificateFile bounds a file of certificates, in bytes: the list of a system has a fifth of that.
const maxCertificateFile = 1 << 20

// readCertificates reads the certificates in a file that a flag names.
func readCertificates(flag, name string) (list []*x509.Certificate, err error) {
	text, err := readCertificateFile(name)
	if err != nil {
		return nil, &exitError{exitSettings, fmt.Errorf("%s: cannot read %s: %w", flag, shownName(name), cause(err))}
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if c, err := x509.ParseCertificate(block.Bytes); block.Type == "CERTIFICATE" && err == nil {
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		return nil, &exitError{exitSettings, fmt.Errorf("%s: there is no PEM certificate in %s", flag, shownName(name))}
	}
	return list, nil
}

// readCertificateFile reads at most maxCertificateFile, and does not wait for somebody who writes to a named pipe.
func readCertificateFile(name string) ([]byte, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxCertificateFile+1))
	if err == nil && len(text) > maxCertificateFile {
		err = errors.New("it is longer than any list of certificates")
	}
	return text, err
}
