package clip

import (
	"errors"
	"io/fs"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mediafile"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// codeCamera is the code of conditions that prevent a file from being played.
const codeCamera = accessunit.CodeCamera

// loopParameter makes a file play repeatedly.
const loopParameter = "loop"

// file is the location of a media file, and how it is played.
type file struct {
	directory string
	path      string // within the directory
	loop      bool
}

// parse reads a file:// URL. Its path is relative to the media directory, or absolute and inside of it.
func parse(url secret.String, directory string) (file, error) {
	u, err := neturl.Parse(url.Reveal())
	if err != nil || !strings.EqualFold(u.Scheme, "file") || u.Host != "" && u.Host != "localhost" || strings.Trim(u.Path, "/") == "" {
		return file{}, health.UserFault(codeCamera, nil, "The configuration says FILE_URI, but the MediaURI in its secret is not the URL of a "+
			"file such as file:///door.mp4: correct one of them.")
	}
	f := file{directory: directory, path: strings.Trim(u.Path, "/")}
	if absolute, err := filepath.Abs(directory); err == nil {
		if within, err := filepath.Rel(absolute, filepath.Clean(u.Path)); err == nil && filepath.IsLocal(within) {
			f.path = within
		}
	}
	switch loop := u.Query().Get(loopParameter); strings.ToLower(loop) {
	case "", "false":
	case "true":
		f.loop = true
	default:
		return file{}, health.UserFault(codeCamera, nil, "The parameter loop of the MediaURI in the secret must be true or false: correct it.")
	}
	return f, nil
}

// name is the part of the path that is shown.
func (f file) name() string { return filepath.Base(f.path) }

// open opens the file and reads its header. Links may lead anywhere within the directory.
func (f file) open() (*os.File, *mediafile.File, error) {
	root, err := os.OpenRoot(f.directory)
	if err != nil {
		return nil, nil, health.UserFault(codeCamera, err, "The media directory %s cannot be opened: "+
			"create it, or correct AWS_KVS_EDGE_MEDIA_DIRECTORY.", f.directory)
	}
	defer root.Close()
	// Opening a pipe would block until somebody writes into it.
	r, err := root.OpenFile(filepath.Clean(f.path), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, health.UserFault(codeCamera, err, "There is no media file %s in %s: "+
			"copy it there, or correct the secret's MediaURI.", f.name(), f.directory)
	case errors.Is(err, fs.ErrPermission):
		return nil, nil, health.UserFault(codeCamera, err, "The agent may not read the media file %s: "+
			"make it readable for the agent's user.", f.name())
	case err != nil:
		return nil, nil, health.UserFault(codeCamera, err, "The media file %s cannot be opened, as it must lie in %s, even through links: "+
			"move it there.", f.name(), f.directory)
	}
	info, err := r.Stat()
	if err != nil || !info.Mode().IsRegular() {
		_ = r.Close()
		return nil, nil, health.UserFault(codeCamera, err, "%s in the media directory is not a file: correct the secret's MediaURI.", f.name())
	}
	m, err := mediafile.Open(r)
	if err != nil {
		_ = r.Close()
		return nil, nil, f.fault(err)
	}
	return r, m, nil
}

// fault returns the sentence for an error of a file.
func (f file) fault(err error) error {
	var codec *mediafile.CodecError
	switch {
	case errors.As(err, &codec):
		return health.UserFault(codeCamera, err, "The video in the media file %s is %s, which cannot be recorded for Kinesis Video Streams: "+
			"convert it to H.264 or H.265.", f.name(), codec.Codec)
	case errors.Is(err, mediafile.ErrContainer):
		return health.UserFault(codeCamera, err, "The media file %s is neither MP4 nor Matroska nor MPEG-TS: convert it.", f.name())
	case errors.Is(err, mediafile.ErrNoVideo):
		return health.UserFault(codeCamera, err, "The media file %s has no video: choose another one.", f.name())
	case errors.Is(err, mediafile.ErrBroken):
		return health.UserFault(codeCamera, err, "The media file %s is damaged (%v): copy it again, or convert it.", f.name(), err)
	}
	return health.SystemFault(codeCamera, err, "The media file %s cannot be read: check its disk.", f.name())
}

// CheckURL returns what is wrong with the URL of a media file, whether the file exists or not. The error is a
// *health.Fault without a secret.
func CheckURL(url secret.String) error {
	_, err := parse(url, "")
	return err
}
