package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/web/signin"
)

// Bounds of a request to the pages themselves; those of the local API has the local API.
const (
	maxBody     = 4 << 10
	bodyTimeout = 10 * time.Second
)

// handler serves everything.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for path, name := range pages {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { s.page(w, r, name) })
	}
	mux.HandleFunc("GET /sign-in", func(w http.ResponseWriter, r *http.Request) { s.assets.serve(w, r, "sign-in.html") })
	mux.HandleFunc("GET "+assetsPath+"{hash}/{name...}", func(w http.ResponseWriter, r *http.Request) {
		s.assets.serveHashed(w, r, r.PathValue("hash"), r.PathValue("name"))
	})
	mux.HandleFunc("GET /session", s.getSession)
	mux.HandleFunc("POST /session", s.postSession)
	mux.HandleFunc("DELETE /session", s.deleteSession)
	mux.HandleFunc("POST /link", s.postLink)
	mux.HandleFunc("GET "+linkPath+"{token}/{path...}", s.getLinked)
	mux.HandleFunc("/v1/", s.api)
	mux.HandleFunc("GET /metrics", s.api)
	return s.protected(mux)
}

// cookieName is different for each hub, as one browser may see several through tunnels to this machine.
func cookieName(o Options, secure bool) string {
	sum := sha256.Sum256([]byte(o.Thing + "\n" + o.Hostname + "\n" + o.Dir.Path()))
	name := "kvs-edge-" + hex.EncodeToString(sum[:4])
	if secure {
		name = "__Host-" + name // only this host can have set it, over TLS
	}
	return name
}

// setCookie stores the token of a session in the browser, or with "" removes it.
func (s *Server) setCookie(w http.ResponseWriter, token string) {
	age := int(signin.SessionTime / time.Second)
	if token == "" {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{Name: s.cookie, Value: token, Path: "/", MaxAge: age, HttpOnly: true, Secure: s.certificate != nil,
		SameSite: http.SameSiteStrictMode})
}

// token is that of a request's session, "" without one.
func (s *Server) token(r *http.Request) string {
	cookie, err := r.Cookie(s.cookie)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// role is that of a request's session.
func (s *Server) role(r *http.Request) (signin.Role, bool) {
	role, _, ok := s.gate.Session(s.token(r))
	return role, ok
}

// page serves a page to who is signed in, and redirects everybody else to the sign-in. Pages are the same on all hubs.
func (s *Server) page(w http.ResponseWriter, r *http.Request, name string) {
	if _, ok := s.role(r); !ok {
		http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
		return
	}
	s.assets.serve(w, r, name)
}

// sessionAnswer says who is signed in.
type sessionAnswer struct {
	Role  signin.Role `json:"role"`
	Thing string      `json:"thing"`
}

func (s *Server) getSession(w http.ResponseWriter, r *http.Request) {
	role, ok := s.role(r)
	if !ok {
		refuseUnknown(w)
		return
	}
	writeJSON(w, sessionAnswer{role, s.o.Thing})
}

func refuseUnknown(w http.ResponseWriter) {
	refuse(w, http.StatusUnauthorized, "signed-out", "you are not signed in, or no longer")
}

// signInRequest is the body of POST /session: a link, or a role with its password.
type signInRequest struct {
	Link     string      `json:"link"`
	Role     signin.Role `json:"role"`
	Password string      `json:"password"`
}

func (s *Server) postSession(w http.ResponseWriter, r *http.Request) {
	var in signInRequest
	if !readJSON(w, r, &in) {
		return
	}
	from := addressOf(r.RemoteAddr)
	var token string
	var err error
	var role signin.Role
	if in.Link != "" {
		token, role, err = s.gate.ByLink(from, in.Link)
	} else if role, err = signin.ParseRole(string(in.Role)); err == nil {
		token, err = s.gate.ByPassword(r.Context(), from, role, in.Password)
	}
	var wait *signin.WaitError
	switch {
	case errors.As(err, &wait):
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.For.Seconds()))))
		refuse(w, http.StatusTooManyRequests, "wait", err.Error())
	case errors.Is(err, signin.ErrBusy):
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, "busy", err.Error())
	case err != nil:
		refuse(w, http.StatusUnauthorized, "refused", err.Error())
	default:
		if before := s.token(r); before != "" {
			s.gate.End(before)
		}
		s.setCookie(w, token)
		writeJSON(w, sessionAnswer{role, s.o.Thing})
	}
}

func (s *Server) deleteSession(w http.ResponseWriter, r *http.Request) {
	if token := s.token(r); token != "" {
		s.gate.End(token)
	}
	s.setCookie(w, "")
	w.WriteHeader(http.StatusNoContent)
}

// api serves the local API to those who are signed in, each with the right of its role.
func (s *Server) api(w http.ResponseWriter, r *http.Request) {
	role, ended, ok := s.gate.Session(s.token(r))
	if !ok {
		refuseUnknown(w)
		return
	}
	right := localapi.Read
	switch {
	case role == signin.Operate:
		right = localapi.Operate
	case !isRead(r):
		refuse(w, http.StatusForbidden, "rights", "that changes something: sign in with the role operate")
		return
	}
	ctx, cancel := context.WithCancel(r.Context()) // who signs out, or is signed out, sees no more
	defer cancel()
	defer context.AfterFunc(ended, cancel)()
	r = r.WithContext(ctx)
	s.forward(w, r, r.URL.Path, right, fmt.Sprintf("web page, role %s, from %s", role, addressOf(r.RemoteAddr)))
}

// forward passes a request to the local API, without what is for the browser and this server alone.
func (s *Server) forward(w http.ResponseWriter, r *http.Request, path string, right localapi.Right, who string) {
	r = r.Clone(r.Context())
	r.URL.Path, r.URL.RawPath, r.RequestURI = path, "", ""
	r.Pattern = ""
	for _, name := range []string{"Cookie", "Authorization", "Origin", "Referer"} {
		r.Header.Del(name)
	}
	s.o.API(w, r, right, who)
}

// readJSON reads the body of a request.
func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil || json.Unmarshal(body, into) != nil {
		refuse(w, http.StatusBadRequest, "parameter", "the request is not the JSON that is wanted, or too large")
		return false
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return true
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // a client that is gone needs none
}
