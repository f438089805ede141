package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/address"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// cameraURLs are the arguments and the lines of a file, if one is named; - is the standard input.
func cameraURLs(stdin io.Reader, args []string, file string) ([]secret.String, error) {
	var urls []secret.String
	for _, arg := range args {
		urls = append(urls, secret.New(arg))
	}
	if file == "" {
		return urls, nil
	}
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("cannot read --url-file %s: %w", file, cause(err))
		}
		defer func() { _ = f.Close() }()
		stdin = f
	}
	lines := bufio.NewScanner(stdin)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
			urls = append(urls, secret.New(line))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("cannot read --url-file %s: %w", file, err)
	}
	if len(urls) == 0 {
		return nil, errors.New("there is no URL in --url-file, which must have one a line")
	}
	return urls, nil
}

// secretParameter finds parameters of a query that no name of a directory may show.
var secretParameter = regexp.MustCompile(`(?i)pass|pwd|psw|secret|token|auth|key|sign|user|usr|login|account`)

// streamNames names each camera after its host, path and query, whatever other cameras there are. Without a query it
// is the name that former versions took.
func streamNames(cameras []secret.String) ([]string, error) {
	var names, identities []string
	for i, url := range cameras {
		a, err := address.Parse(url)
		if err != nil {
			return nil, fmt.Errorf("URL %d of the cameras: %s", i+1, withoutSecret(err.Error())) // it may hold a password
		}
		query := shownQuery(a.Query())
		identity := a.Host + a.URL.Path + "?" + query
		if same := slices.Index(identities, identity); same >= 0 {
			return nil, fmt.Errorf("URLs %d and %d are of the same camera: name it once", same+1, i+1)
		}
		name := directoryName(a.Host + a.URL.Path)
		if query != "" {
			name += "-" + directoryName(query)
			if !plainQuery.MatchString(query) || len(a.Query()) != strings.Count(query, "=") {
				name += "-" + shortHash(identity)
			}
		}
		identities, names = append(identities, identity), append(names, name)
	}
	apart := slices.Clone(names)
	for i, name := range names { // /a/b and /a-b
		if slices.Index(names, name) != i || slices.Contains(names[i+1:], name) {
			apart[i] = name + "-" + shortHash(identities[i])
		}
	}
	return apart, nil
}

// plainQuery matches queries of which directoryName loses nothing that may distinguish two.
var plainQuery = regexp.MustCompile(`^[a-zA-Z]+=[0-9a-zA-Z]+(&[a-zA-Z]+=[0-9a-zA-Z]+)*$`)

// shownQuery is the query in the order of its names, without secrets.
func shownQuery(query url.Values) string {
	shown := url.Values{}
	for name, values := range query {
		if !secretParameter.MatchString(name) {
			shown[name] = values
		}
	}
	return shown.Encode()
}

func directoryName(text string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r) {
			return r
		}
		return '-'
	}, text), "-.")
}

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

// inArgument is where the URLs of record's cameras are written.
var inArgument = address.Argument()

// withoutSecret turns a sentence for hubs, whose cameras' URLs are in secrets and whose settings are variables, into
// one for record.
func withoutSecret(sentence string) string { return flagWords.Replace(inArgument.Text(sentence)) }

// flagWords has the flags of record for what sentences say of a hub's configuration.
var flagWords = strings.NewReplacer(
	"but the configuration says RTSP_URI: set its MediaUriType to FILE_URI", "and record takes cameras only",
	"AWS_KVS_EDGE_RTSP_TRANSPORT to ", "--rtsp-transport to ",
	"AWS_KVS_EDGE_AUDIO to ", "--audio to ",
	"AWS_KVS_EDGE_TIMESTAMP_SOURCE to ", "--timestamp-source to ",
	"set AWS_KVS_EDGE_RECORDING_DIRECTORY to another directory", "name another directory with --dir",
	"or lower MaxLocalMediaSizeInMB or EdgeRetentionInHours", "or give --max-age or --max-size",
	"or lower MaxLocalMediaSizeInMB", "or give --max-size",
	"or lower the streams' limits", "or give --max-age or --max-size",
	"Another agent (process", "Another recorder (process",
)
