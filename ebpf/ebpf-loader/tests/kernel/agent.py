"""Does in a process of its own what the test says, line by line: hex of Python code in, one line of outcome out."""
import array, ctypes, errno, os, select, socket, struct, sys, threading, time  # noqa: F401  (names for the tests)

room = dict(globals())


def outcome(code):
    try:
        try:
            return "ok %s" % (eval(code, room),)
        except SyntaxError:
            exec(code, room)
            return "ok"
    except socket.timeout:
        return "timeout"
    except OSError as error:
        return "errno %s" % errno.errorcode.get(error.errno, error.errno)
    except Exception as error:  # the test reads it
        return "error %r" % (error,)


for line in sys.stdin:
    print(outcome(bytes.fromhex(line.strip()).decode()).replace("\n", " "), flush=True)
