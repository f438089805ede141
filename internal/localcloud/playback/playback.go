// Package playback owns how a player plays a session of HLS, as far as its last frame. It must not know how the stand-in serves it.
package playback

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
)

// maxAnswer bounds what a player is sent at once, in bytes.
const maxAnswer = 64 << 20

// Last plays the end of a session in fragmented MP4 as players do: master playlist, media playlist, the last fragment. It returns
// the last frame of that, as MP4 has it, and how many fragments the playlist has.
func Last(ctx context.Context, url string, roots *x509.CertPool) (frame []byte, fragments int, err error) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer client.CloseIdleConnections()
	base := url[:strings.LastIndex(url, "/")+1]
	for range 2 { // from the master playlist to that of the video, and from there to its last fragment
		text, err := fetch(ctx, client, url)
		if err != nil {
			return nil, 0, err
		}
		entries := addresses(text)
		if fragments = len(entries); fragments == 0 {
			return nil, 0, errors.New("the local cloud has a playlist without an entry")
		}
		url = base + entries[fragments-1]
	}
	fragment, err := fetch(ctx, client, url)
	if err != nil {
		return nil, 0, err
	}
	var parts fmp4.Parts
	if err := parts.Unmarshal(fragment); err != nil {
		return nil, 0, fmt.Errorf("the local cloud has a fragment that cannot be read: %w", err)
	}
	if len(parts) == 0 || len(parts[0].Tracks) == 0 || len(parts[0].Tracks[0].Samples) == 0 {
		return nil, 0, errors.New("the local cloud has a fragment without a frame")
	}
	samples := parts[0].Tracks[0].Samples
	return samples[len(samples)-1].Payload, fragments, nil
}

func fetch(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, errors.New("the local cloud does not answer a player") // without the URL, whose token is a secret
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("the local cloud stopped playing: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the local cloud answers a player with %s: %s", answer.Status, body)
	}
	return body, nil
}

// addresses are the lines of a playlist without its tags.
func addresses(playlist []byte) (list []string) {
	for line := range bytes.Lines(playlist) {
		if text := strings.TrimSpace(string(line)); text != "" && !strings.HasPrefix(text, "#") {
			list = append(list, text)
		}
	}
	return list
}
