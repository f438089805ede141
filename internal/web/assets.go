package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed pages
var pageFiles embed.FS

// assetsPath begins the paths of what pages load. The hash of all of it follows, so that browsers may keep it for ever.
const assetsPath = "/assets/"

// pages are the addresses of pages for who is signed in, with their files.
var pages = map[string]string{
	"/{$}": "cameras.html", "/camera": "camera.html", "/health": "health.html", "/settings": "settings.html",
}

// asset is a file that browsers get.
type asset struct {
	kind         string
	plain, small []byte // small is compressed
}

// assets are all of them, by name.
type assets struct {
	hash string
	list map[string]asset
}

// kinds are the types of files that browsers get; others are not served.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// loadAssets reads what was built in. Paths of assets in pages get the hash.
func loadAssets() (*assets, error) {
	a := &assets{list: make(map[string]asset)}
	files, sum := make(map[string][]byte), sha256.New()
	err := fs.WalkDir(pageFiles, "pages", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || kinds[path.Ext(name)] == "" {
			return err
		}
		data, err := pageFiles.ReadFile(name)
		name = strings.TrimPrefix(name, "pages/")
		files[name] = data
		fmt.Fprintf(sum, "%s %d\n%s", name, len(data), data)
		return err
	})
	if err != nil {
		return nil, err
	}
	a.hash = hex.EncodeToString(sum.Sum(nil))[:16]
	for name, data := range files {
		if path.Ext(name) == ".html" {
			data = bytes.ReplaceAll(data, []byte(`"`+assetsPath), []byte(`"`+assetsPath+a.hash+"/"))
		}
		var small bytes.Buffer
		writer, err := gzip.NewWriterLevel(&small, gzip.BestCompression)
		if err == nil {
			_, _ = writer.Write(data) // into memory
			err = writer.Close()
		}
		if err != nil {
			return nil, err
		}
		a.list[name] = asset{kinds[path.Ext(name)], data, small.Bytes()}
	}
	return a, nil
}

// serveHashed serves what pages load.
func (a *assets) serveHashed(w http.ResponseWriter, r *http.Request, hash, name string) {
	if hash != a.hash || path.Ext(name) == ".html" {
		refuse(w, http.StatusNotFound, "not-here", "there is no such file: load the page again")
		return
	}
	if _, ok := a.list[name]; ok {
		w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	a.serve(w, r, name)
}

// serve serves a file, compressed for who takes that.
func (a *assets) serve(w http.ResponseWriter, r *http.Request, name string) {
	file, ok := a.list[name]
	if !ok {
		refuse(w, http.StatusNotFound, "not-here", "there is no such file: load the page again")
		return
	}
	data := file.plain
	w.Header().Set("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		data = file.small
	}
	w.Header().Set("Content-Type", file.kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(data) // a client that is gone needs none
	}
}
