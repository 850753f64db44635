// Programs whose bottleneck is known, in Java: `java Targets NAME`. Each runs until it is ended.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.RandomAccessFile;
import java.net.Socket;
import java.util.concurrent.locks.ReentrantLock;

public class Targets {
  static volatile long sink;
  static final Object monitor = new Object();
  static final ReentrantLock lock = new ReentrantLock();

  interface Step {
    void run() throws Exception;
  }

  static void compute(int rounds) {
    long x = 1;
    for (int i = 0; i < rounds * 1000; ++i) x = x * 6364136223846793005L + 1442695040888963407L;
    sink = x;
  }

  static void client(int milliseconds) throws Exception {
    Socket line = new Socket("127.0.0.1", Integer.parseInt(System.getenv("PORT")));
    BufferedReader in = new BufferedReader(new InputStreamReader(line.getInputStream()));
    for (;;) {
      line.getOutputStream().write((milliseconds + "\n").getBytes());
      in.readLine();
    }
  }

  static void threads(int count, Step step) {
    for (int i = 0; i < count; ++i)
      new Thread(() -> {
        try {
          for (;;) step.run();
        } catch (Exception e) {
          System.exit(1);
        }
      }).start();
  }

  public static void main(String[] arguments) throws Exception {
    switch (arguments[0]) {
      case "sequential_requests" -> client(12);
      case "twenty_clients" -> threads(20, () -> client(100));
      case "one_thread" -> threads(1, () -> compute(1000));
      case "two_threads" -> threads(2, () -> compute(1000));
      case "sixteen_threads" -> threads(16, () -> compute(1000));
      case "monitor_across_sleep" -> threads(6, () -> {
        synchronized (monitor) {
          Thread.sleep(10);
        }
      });
      case "lock_around_work" -> threads(4, () -> {
        lock.lock();
        try {
          compute(2000);
        } finally {
          lock.unlock();
        }
        compute(50);
      });
      case "sleeps" -> threads(2, () -> Thread.sleep(40));
      case "synced_writes" -> {
        RandomAccessFile file = new RandomAccessFile("scratch-java", "rws");
        for (;;) file.write(new byte[512]);
      }
      default -> System.exit(2);
    }
  }
}
