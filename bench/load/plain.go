package main

import (
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
)

// Plain connections: one loop over epoll reads for all agents, because a goroutine for each would cost more than the
// server that is measured.

const (
	ipBindAddressNoPort = 24 // of linux/in.h: the port is chosen at connect, by the whole 4-tuple
	localAddresses      = 16
	readBytes           = 256 << 10
	mostDescriptors     = 1 << 16
)

// source is one of several local addresses, so that ports do not run out while old connections linger.
func source(number int) [4]byte { return [4]byte{127, 0, 1, byte(1 + number%localAddresses)} }

type poller struct {
	fleet  *fleet
	epoll  int
	server syscall.SockaddrInet4
	byFD   [mostDescriptors]atomic.Pointer[agent]
}

type plainLink struct {
	poller *poller
	fd     int
	unsent []byte
}

func newPoller(f *fleet, address *net.TCPAddr) (*poller, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	p := &poller{fleet: f, epoll: epoll, server: syscall.SockaddrInet4{Port: address.Port}}
	copy(p.server.Addr[:], address.IP.To4())
	go p.run()
	return p, nil
}

func (p *poller) dial(a *agent) {
	fd, err := p.open(a.number)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		if fd >= 0 {
			syscall.Close(fd)
		}
		p.fleet.lost(a, err)
		return
	}
	a.link = &plainLink{poller: p, fd: fd}
	p.byFD[fd].Store(a)
	p.watch(syscall.EPOLL_CTL_ADD, fd, syscall.EPOLLIN|syscall.EPOLLOUT)
}

func (p *poller) open(number int) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, ipBindAddressNoPort, 1)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: source(number)}); err != nil {
		return fd, err
	}
	if err := syscall.Connect(fd, &p.server); err != nil && err != syscall.EINPROGRESS {
		return fd, err
	}
	return fd, nil
}

func (p *poller) watch(operation, fd int, events uint32) {
	syscall.EpollCtl(p.epoll, operation, fd, &syscall.EpollEvent{Events: events, Fd: int32(fd)})
}

func (p *poller) run() {
	runtime.LockOSThread()
	events := make([]syscall.EpollEvent, 512)
	buffer := make([]byte, readBytes)
	for {
		found, err := syscall.EpollWait(p.epoll, events, -1)
		if err != nil && err != syscall.EINTR {
			panic(err)
		}
		for _, event := range events[:max(found, 0)] {
			if a := p.byFD[event.Fd].Load(); a != nil {
				p.serve(a, int(event.Fd), event.Events, buffer)
			}
		}
	}
}

func (p *poller) serve(a *agent, fd int, events uint32, buffer []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	own, ok := a.link.(*plainLink)
	if !ok || own.fd != fd {
		return
	}
	if events&syscall.EPOLLOUT != 0 {
		if err := p.writable(a, own); err != nil {
			p.fleet.lost(a, err)
			return
		}
	}
	if events&(syscall.EPOLLIN|syscall.EPOLLHUP|syscall.EPOLLERR) == 0 {
		return
	}
	size, err := syscall.Read(fd, buffer)
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return
	case err != nil:
	case size == 0:
		err = errClosed
	default:
		err = p.fleet.feed(a, buffer[:size])
	}
	if err != nil {
		p.fleet.lost(a, err)
	}
}

// writable: the connection is made, or what waited can be sent.
func (p *poller) writable(a *agent, own *plainLink) error {
	if a.phase == dialing {
		failure, err := syscall.GetsockoptInt(own.fd, syscall.SOL_SOCKET, syscall.SO_ERROR)
		if err != nil {
			return err
		}
		if failure != 0 {
			return syscall.Errno(failure)
		}
		p.watch(syscall.EPOLL_CTL_MOD, own.fd, syscall.EPOLLIN)
		return p.fleet.connected(a, own)
	}
	waiting := own.unsent
	own.unsent = nil
	p.watch(syscall.EPOLL_CTL_MOD, own.fd, syscall.EPOLLIN)
	if len(waiting) == 0 {
		return nil
	}
	return own.write(waiting)
}

func (l *plainLink) write(data []byte) error {
	if len(l.unsent) > 0 {
		l.unsent = append(l.unsent, data...)
		return nil
	}
	sent, err := syscall.Write(l.fd, data)
	if err == syscall.EAGAIN {
		sent, err = 0, nil
	}
	if err != nil {
		return err
	}
	if sent < len(data) {
		l.unsent = append(l.unsent, data[sent:]...)
		l.poller.watch(syscall.EPOLL_CTL_MOD, l.fd, syscall.EPOLLIN|syscall.EPOLLOUT)
	}
	return nil
}

func (l *plainLink) drop() {
	l.poller.byFD[l.fd].Store(nil)
	syscall.Close(l.fd)
}
